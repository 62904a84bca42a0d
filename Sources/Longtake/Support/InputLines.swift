internal import Glibc
internal import Media

/// The lines of a file, a pipe or standard input, each as soon as it is available; blank lines are skipped.
package final class InputLines {
    /// Maximum line length in bytes.
    static let limit = 1 << 20

    private let name: String
    private let descriptor: Int32
    private let cancellation: Cancellation
    private var waiting: [UInt8] = []
    private var number = 0
    private var given = 0
    private var ended = false
    private let separator: UInt8
    private let mayBeEmpty: Bool

    /// Opens the file.
    ///
    /// - Parameter separator: the byte that ends a line; lines ending in NUL are returned unchanged.
    /// - Throws: `Failure` `cannot_read`.
    package init(
        _ path: InputPath, separator: UInt8 = 0x0A, mayBeEmpty: Bool = false,
        cancellation: Cancellation = Cancellation()
    ) throws {
        self.separator = separator
        self.mayBeEmpty = mayBeEmpty
        name = path.isStandardInput ? "standard input" : path.description
        self.cancellation = cancellation
        // Without O_NONBLOCK, opening a named pipe would wait for its writer and could not be cancelled.
        descriptor = path.isStandardInput ? 0 : path.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) } ?? -1
        guard descriptor >= 0 else { throw unreadable() }
    }

    deinit { if descriptor > 0 { close(descriptor) } }

    /// Returns the next line as bytes, without its separator; nil after the last one.
    ///
    /// - Throws: `Failure` naming the file: `empty_file` if there was no line at all.
    package func next() throws -> [UInt8]? {
        while let line = try nextOfAny() {
            let isBlank =
                line.isEmpty || separator == 0x0A && line.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
            guard !isBlank else { continue }
            given += 1
            return line
        }
        guard given > 0 || mayBeEmpty else {
            throw failure(.emptyFile, "no line with anything in it; write one input per line")
        }
        return nil
    }

    /// Returns the next line as text.
    ///
    /// - Throws: `LongtakeError` `bad_request` for a line that is not UTF-8.
    package func nextText() throws -> String? {
        guard let line = try next() else { return nil }
        guard let text = String(validating: line, as: UTF8.self) else {
            throw LongtakeError(code: .badRequest, message: "\(name): line \(number) is not valid UTF-8")
        }
        return text
    }

    private func nextOfAny() throws -> [UInt8]? {
        while true {
            if let end = waiting.firstIndex(of: separator) {
                let line = waiting[..<end]
                waiting.removeSubrange(...end)
                return finished(line)
            }
            guard waiting.count <= Self.limit else {
                throw failure(.tooLarge, "line \(number + 1) is longer than \(Self.limit) bytes")
            }
            guard !ended else {
                guard !waiting.isEmpty else { return nil }
                defer { waiting = [] }
                return finished(waiting[...])
            }
            try fill()
        }
    }

    /// Removes a carriage return at the end and, on the first line, a byte order mark.
    private func finished(_ line: ArraySlice<UInt8>) -> [UInt8] {
        number += 1
        guard separator == 0x0A else { return Array(line) }
        let body = line.last == 0x0D ? line.dropLast() : line
        return Array(number == 1 && body.starts(with: [0xEF, 0xBB, 0xBF]) ? body.dropFirst(3) : body)
    }

    private func fill() throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            try FileBytes.waitUntilReadable(descriptor, cancellation)
            let got = read(descriptor, &buffer, buffer.count)
            if got < 0, errno == EINTR || errno == EAGAIN { continue }
            guard got >= 0 else { throw unreadable() }
            ended = got == 0
            waiting += buffer.prefix(got)
            return
        }
    }

    private func unreadable() -> Failure {
        failure(.cannotRead, "cannot read: \(String(cString: strerror(errno)))")
    }

    private func failure(_ code: MediaError.Code, _ message: String) -> Failure {
        Failure(MediaError(code: code, message: "\(name): \(message)"))
    }
}
