internal import Glibc
internal import Media
internal import SystemCalls

/// The lines of a file, a pipe or standard input, each as soon as it is available; blank lines are skipped.
package final class InputLines {
    /// Maximum line length in bytes.
    static let limit = 1 << 20

    private let name: String
    private let descriptor: Int32
    private let cancellation: Cancellation
    private var unread: [UInt8] = []
    /// Number of the last line, from 1.
    private var number = 0
    private var returned = 0
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
        do {
            // Without O_NONBLOCK, opening a named pipe would wait for its writer and could not be cancelled.
            descriptor = try path.isStandardInput ? STDIN_FILENO : path.open(O_RDONLY | O_NONBLOCK)
        } catch {
            throw Self.unreadable(name, error)
        }
    }

    deinit { if descriptor > 0 { close(descriptor) } }

    /// Returns the next line as bytes, without its separator; nil after the last one.
    ///
    /// - Throws: `Failure` naming the file: `empty_file` if there was no line at all.
    package func next() throws -> [UInt8]? {
        while let line = try nextOrBlank() {
            let isBlank =
                line.isEmpty || separator == 0x0A && line.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
            guard !isBlank else { continue }
            returned += 1
            return line
        }
        guard returned > 0 || mayBeEmpty else {
            throw failure(.emptyFile, "all lines are blank; write one input per line")
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

    private func nextOrBlank() throws -> [UInt8]? {
        while true {
            if let end = unread.firstIndex(of: separator) {
                let line = unread[..<end]
                unread.removeSubrange(...end)
                return finished(line)
            }
            guard unread.count <= Self.limit else {
                throw failure(.tooLarge, "line \(number + 1) is longer than \(Self.limit) bytes")
            }
            guard !ended else {
                guard !unread.isEmpty else { return nil }
                defer { unread = [] }
                return finished(unread[...])
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
        do {
            let got = try buffer.withUnsafeMutableBytes { try FileBytes.read(descriptor, $0, cancellation) }
            ended = got == 0
            unread += buffer.prefix(got)
        } catch let error as SystemError {
            throw Self.unreadable(name, error)
        }
    }

    private static func unreadable(_ name: String, _ error: SystemError) -> Failure {
        Failure(MediaError(code: .cannotRead, message: "\(name): cannot read: \(error)"))
    }

    private func failure(_ code: MediaError.Code, _ message: String) -> Failure {
        Failure(MediaError(code: code, message: "\(name): \(message)"))
    }
}
