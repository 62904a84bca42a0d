import Glibc

/// Standard input, output and error, whichever of them the program was started with.
enum StandardStreams {
    /// Takes the numbers of those that were closed (`2>&-`): the first file this program opens would get one, and be written
    /// notes and answers into.
    ///
    /// Reading from a closed input and writing to a closed output stay errors; what goes to standard error is lost.
    static func takeMissing() {
        let missing = [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_WRONLY)]
        // The lowest free number is the one that open gives.
        for (descriptor, mode) in missing where fcntl(descriptor, F_GETFD) < 0 { _ = open("/dev/null", mode) }
    }
}
