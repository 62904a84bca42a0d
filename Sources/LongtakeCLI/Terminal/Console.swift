import Foundation
import Glibc
import Longtake

/// Writes results to standard output and everything else to standard error.
enum Console {
    /// True if lines on standard error can be rewritten.
    static let isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// True if standard output is a terminal.
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// Prints a line of the result.
    static func line(_ text: String = "") { result(text + "\n") }

    /// Prints data unchanged, except that a terminal gets no control characters.
    static func result(_ text: String) { write(isOutputTerminal ? safe(text) : text, to: STDOUT_FILENO) }

    static func note(_ text: String) { write(safe(text) + "\n", to: STDERR_FILENO) }

    /// True if the command line asks for JSON; known before it is parsed.
    static let wantsJSON = CommandLine.arguments.prefix { $0 != "--" }.contains("--json")

    /// Prints a warning, even with --quiet: a line, or with --json an object.
    static func warn(_ text: String) {
        guard wantsJSON else { return problem("warning: " + text) }
        jsonLine(Warning(message: Failure.shortened(text)), to: STDERR_FILENO)
    }

    private struct Warning: Encodable {
        let message_type = "warning"
        let message: String
    }

    /// Prints an error on one line of at most 2 kB.
    static func problem(_ text: String) { note("longtake: " + Failure.shortened(name(text))) }

    /// Prints one JSON object on one line, flushed.
    static func jsonLine(_ value: some Encodable, to descriptor: Int32 = STDOUT_FILENO) {
        write(encoded(value, pretty: false) + "\n", to: descriptor)
    }

    /// Prints one JSON document.
    static func json(_ value: some Encodable) { line(encoded(value, pretty: true)) }

    private static func encoded(_ value: some Encodable, pretty: Bool) -> String {
        let encoder = JSONText.encoder(pretty: pretty)
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return VisibleText.escaped(
            json: (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}")
    }

    /// Ends the program with an exit status.
    ///
    /// Does not run the exit handlers of libraries: a thread may still compute with one (oneDNN is prepared in the
    /// background) and would use what they have freed. Nothing is buffered that they would write.
    static func end(_ status: Int32) -> Never { Glibc._exit(status) }

    static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            // A reader that has stopped reading must not keep the process from exiting.
            guard waitForRoom(descriptor) else { return }
            let wrote = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, min($0.count, Int(PIPE_BUF))) }
            if wrote < 0, errno == EINTR || errno == EAGAIN { continue }
            // The reader is gone (`| head`): exit quietly with the status a shell reports. Without standard error,
            // continue.
            if wrote <= 0 {
                guard descriptor == STDOUT_FILENO else { return }
                // The terminal is gone: the work ends anyway, and seals what it has first.
                if Interruption.exitCode == 128 + SIGHUP { return }
                if errno == EPIPE { end(141) }
                note("longtake: cannot write to standard output: \(String(cString: strerror(errno)))")
                end(Exit.space)
            }
            bytes = bytes.dropFirst(wrote)
        }
    }

    /// Waits until `PIPE_BUF` bytes can be written without blocking; returns false if a signal is to end the program
    /// first.
    ///
    /// A signal between the check and the call would be lost, so the wait is split into intervals of a fifth of a
    /// second.
    private static func waitForRoom(_ descriptor: Int32) -> Bool {
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while true {
            let ready = poll(&room, 1, 200)
            // If waiting fails, the write reports the error.
            if ready > 0 || ready < 0 && errno != EINTR { return true }
            if Interruption.exitCode != nil { return false }
        }
    }

    /// Removes characters that could control a terminal: control characters except line breaks and tabs, and
    /// bidirectional marks.
    static func safe(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.filter { !VisibleText.isControl($0) || $0 == "\n" || $0 == "\t" }))
    }

    /// A name on one line, with its control characters escaped.
    static func name(_ text: String) -> String { VisibleText.escaped(text) }
}
