import Glibc

/// Standard input, output and error, any of which may be closed when the program starts.
enum StandardStreams {
    /// Opens /dev/null for each standard stream that is closed, as by `2>&-`; call before opening any file.
    ///
    /// Otherwise the first file this program opens would get that descriptor, and notes and answers would be written
    /// into it.
    static func openMissing() {
        // In the opposite mode, so that reading standard input and writing standard output still fail with EBADF. What
        // is written to standard error is lost.
        let missing = [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        // open(2) returns the lowest free descriptor: in ascending order that is the missing one.
        for (descriptor, mode) in missing where fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", mode) }
    }
}
