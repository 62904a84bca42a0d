internal import Media

/// The hidden subcommand that every recording is decoded in: a process of its own with no rights.
public enum DecodeWorkerProcess {
    public static let command = DecodeWorker.command

    /// For a program that has this subcommand: recordings are decoded by itself, whatever its file is called.
    public static func useThisProgram() { DecodeWorker.useThisProgram() }

    /// Whether LONGTAKE_NO_SECCOMP allows to decode without a system call filter, where the kernel refuses filters.
    public static var allowsNoFilter: Bool { DecodeWorker.allowsNoFilter }

    /// The process' main function; returns its exit status.
    public static func main(request: String, parent: Int32) -> Int32 {
        DecodeWorker.main(request: request, parent: parent)
    }
}
