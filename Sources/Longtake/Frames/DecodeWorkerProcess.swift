internal import Glibc
internal import Media

/// The hidden subcommand in which every recording is decoded: a separate process without rights.
public enum DecodeWorkerProcess {
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

    /// Lets a program that uses the library decode with its own executable; to be called first in `main`.
    ///
    /// If this process was started as a decode worker, decodes and exits. Without this call, the program `longtake`
    /// beside the executable decodes, or the one that LONGTAKE_WORKER names.
    public static func runIfRequested() {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, arguments[1] == command, let parent = Int32(arguments[3]) else {
            return useThisProgram()
        }
        exit(main(request: arguments[2], parent: parent))
    }
}
