import Glibc

/// Standard input, output and error, any of which may be closed when the program starts.
enum StandardStreams {
    /// Opens /dev/null for standard streams that were closed (`2>&-`).
    ///
    /// Otherwise the first file this program opens would get that descriptor, and notes and answers would be written
    /// into it. Reading from a closed input and writing to a closed output still fail; output to standard error is
    /// lost.
    static func takeMissing() {
        let missing = [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        // open returns the lowest free descriptor.
        for (descriptor, mode) in missing where fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", mode) }
    }
}
