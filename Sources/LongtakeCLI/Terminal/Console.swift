import Foundation
import Glibc
import Longtake

/// Results to standard output, everything else to standard error.
enum Console {
    /// Whether lines on standard error can be rewritten.
    static let isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"

    /// Whether people read standard output.
    static let isOutputTerminal = isatty(STDOUT_FILENO) == 1

    /// A line of the result.
    static func line(_ text: String = "") { result(text + "\n") }

    /// Data goes out as it is, but not to a terminal: that gets nothing that could command it.
    static func result(_ text: String) { write(isOutputTerminal ? safe(text) : text, to: STDOUT_FILENO) }

    static func note(_ text: String) { write(safe(text) + "\n", to: STDERR_FILENO) }

    /// Whether the command line asks for JSON; known before it is parsed.
    static let wantsJSON = CommandLine.arguments.prefix { $0 != "--" }.contains("--json")

    /// Something to know, whatever --quiet says: a line, or with --json an object.
    static func warn(_ text: String) {
        guard wantsJSON else { return problem("warning: " + text) }
        jsonLine(Warning(message: Failure.shortened(text)), to: STDERR_FILENO)
    }

    private struct Warning: Encodable {
        let message_type = "warning"
        let message: String
    }

    /// What went wrong, on one line of at most 2 kB.
    static func problem(_ text: String) { note("longtake: " + Failure.shortened(name(text))) }

    /// One JSON object on one line, flushed.
    static func jsonLine(_ value: some Encodable, to descriptor: Int32 = STDOUT_FILENO) {
        write(encoded(value, pretty: false) + "\n", to: descriptor)
    }

    /// One JSON document.
    static func json(_ value: some Encodable) { line(encoded(value, pretty: true)) }

    private static func encoded(_ value: some Encodable, pretty: Bool) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty ? [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return escaped((try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}")
    }

    /// JSON with the characters that could command a terminal as \u escapes; they are in its strings only.
    private static func escaped(_ json: String) -> String {
        guard json.unicodeScalars.contains(where: { $0.value >= 0x7F && isDangerous($0) }) else { return json }
        return json.unicodeScalars.reduce(into: "") { result, scalar in
            guard scalar.value >= 0x7F, isDangerous(scalar) else { return result.unicodeScalars.append(scalar) }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
    }

    static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            // A reader that has stopped reading keeps nobody from ending.
            guard waitForRoom(descriptor) else { return }
            let wrote = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, min($0.count, Int(PIPE_BUF))) }
            if wrote < 0, errno == EINTR || errno == EAGAIN { continue }
            // The reader is gone (`| head`): stop quietly, as a shell reports it. Without standard error, go on.
            if wrote <= 0 {
                guard descriptor == STDOUT_FILENO else { return }
                // The terminal is gone: the work ends anyway, and first it seals what it has.
                if Interruption.exitCode == 128 + SIGHUP { return }
                if errno == EPIPE { Glibc.exit(141) }
                note("longtake: cannot write to standard output: \(String(cString: strerror(errno)))")
                Glibc.exit(Exit.space)
            }
            bytes = bytes.dropFirst(wrote)
        }
    }

    /// Waits until `PIPE_BUF` bytes can be written without waiting; false where a signal ends the program before.
    ///
    /// A signal between the look at it and the call would be lost: the wait is cut into parts of a fifth of a second.
    private static func waitForRoom(_ descriptor: Int32) -> Bool {
        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while true {
            let ready = poll(&room, 1, 200)
            // What cannot be waited for is the write's error.
            if ready > 0 || ready < 0 && errno != EINTR { return true }
            if Interruption.exitCode != nil { return false }
        }
    }

    /// `text` without what could command a terminal: control characters (but line breaks and tabs) and changes of direction.
    static func safe(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { !isDangerous($0) || $0 == "\n" || $0 == "\t" }))
    }

    /// A name on one line, its control characters shown as escapes.
    static func name(_ text: String) -> String {
        text.unicodeScalars.reduce(into: "") { result, scalar in
            if isDangerous(scalar) {
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
    }

    private static func isDangerous(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2060...0x206F, 0x061C, 0xFEFF,
            0xFFF9...0xFFFB, 0xE0000...0xE007F:
            true
        default: false
        }
    }
}
