internal import Media

/// The hidden subcommand in which every recording is decoded: a separate process without rights.
package enum DecodeWorkerProcess {
    /// Name of the subcommand.
    package static let command = DecodeWorker.command

    /// Decodes recordings with this program, whatever its file name; for programs that have the subcommand.
    package static func useThisProgram() { DecodeWorker.useThisProgram() }

    /// True if LONGTAKE_NO_SECCOMP allows decoding without a system call filter on kernels that refuse filters.
    package static var allowsNoFilter: Bool { DecodeWorker.allowsNoFilter }

    /// Runs the worker process; returns its exit status.
    package static func main(request: String, parent: Int32) -> Int32 {
        DecodeWorker.main(request: request, parent: parent)
    }
}
