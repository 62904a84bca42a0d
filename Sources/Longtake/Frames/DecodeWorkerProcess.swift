internal import Media

/// The hidden subcommand in which every recording is decoded: a separate process without rights.
public enum DecodeWorkerProcess {
    /// Name of the subcommand.
    public static let command = DecodeWorker.command

    /// Decodes recordings with this program, whatever its file name; for programs that have the subcommand.
    public static func useThisProgram() { DecodeWorker.useThisProgram() }

    /// True if LONGTAKE_NO_SECCOMP allows decoding without a system call filter on kernels that refuse filters.
    public static var allowsNoFilter: Bool { DecodeWorker.allowsNoFilter }

    /// Runs the worker process; returns its exit status.
    public static func main(request: String, parent: Int32) -> Int32 {
        DecodeWorker.main(request: request, parent: parent)
    }
}
