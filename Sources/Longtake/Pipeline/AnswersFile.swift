internal import Foundation
internal import Glibc
internal import SystemCalls

/// A file that a pipeline appends its answers to, line by line.
final class AnswersFile {
    /// Bytes of the longest line that is read; a longer one is not an answer written here.
    private static let maxLine = 16 << 20

    let path: String
    private let descriptor: Int32

    /// An answer in a file of JSON lines: what identifies it.
    struct Known: Decodable {
        struct Reference: Decodable { let index: String? }
        let key: String
        let run: String?
        let questionID: String?
        let recording: Reference?

        private enum CodingKeys: String, CodingKey {
            case key, recording
            case run = "run_id"
            case questionID = "question_id"
        }
    }

    /// Opens the file, or creates it and its folder; terminates a last line that was cut off.
    ///
    /// It is read back, so it must be a regular file or a link to one: a pipe would block and a device stores nothing.
    /// - Parameter head: what a new file begins with.
    /// - Throws: `LongtakeError` `bad_pipeline` for another kind of file, `Failure` `cannot_write`.
    init(path: String, head: String = "") throws {
        self.path = path
        if let status = try? SystemCall.status(of: path) { try Self.requireRegular(status, path) }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let status: stat
        do {
            // O_NONBLOCK: a pipe that replaces the file between stat and open must not block the open.
            descriptor = try SystemCall.open(path, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, mode: 0o644)
            status = try SystemCall.status(descriptor)
        } catch {
            throw Self.cannotWrite(path, error)
        }
        try Self.requireRegular(status, path)
        if status.st_size == 0 {
            if !head.isEmpty { try append(text: head) }
        } else {
            var last: UInt8 = 0x0A
            // The next answer must start on a line of its own.
            if pread(descriptor, &last, 1, status.st_size - 1) == 1, last != 0x0A { try append(text: "\n") }
        }
    }

    deinit { close(descriptor) }

    private static func requireRegular(_ status: stat, _ path: String) throws {
        guard let kind = FileKind.name(ofOther: status.st_mode) else { return }
        throw LongtakeError(
            code: .badPipeline,
            message: "\(path): the output is \(kind); give a regular file, since answers are appended and read back")
    }

    /// Reads a file of JSON lines in bounded memory; `body` gets each answer with its line.
    ///
    /// - Returns: a remark about lines that are no answers; nil if there are none.
    /// - Throws: `LongtakeError` `interrupted`, and what `body` throws.
    func answers(_ cancellation: Cancellation, _ body: (Known, String) throws -> Void) throws -> String? {
        let decoder = JSONDecoder()
        var broken = 0
        let tooLong = try lines(cancellation) { line in
            if let known = try? decoder.decode(Known.self, from: Data(line)) {
                try body(known, String(decoding: line, as: UTF8.self))
            } else if line.contains(where: { $0 > 0x20 }) {
                broken += 1
            }
        }
        broken += tooLong
        guard broken > 0 else { return nil }
        let what = counted(broken, "line is not an answer and stays", "lines are not answers and stay")
        return "\(path): \(what) unchanged; an interrupted run may have left part of a line"
    }

    /// Those of the wanted keys whose answers the file has, each in a whole line.
    ///
    /// - Parameter isJSON: whether a line is a JSON object; else it is whole if it ends with the key.
    /// - Throws: `LongtakeError` `interrupted`.
    func found(_ wanted: Set<String>, isJSON: Bool, _ cancellation: Cancellation) throws -> Set<String> {
        let decoder = JSONDecoder()
        var found: Set<String> = []
        _ = try lines(cancellation) { line in
            if isJSON {
                if let key = try? decoder.decode(Known.self, from: Data(line)).key { found.insert(key) }
            } else {
                let key = String(decoding: line.filter { $0 != 0x0D }.suffix(32), as: UTF8.self)
                if wanted.contains(key) { found.insert(key) }
            }
        }
        return found.intersection(wanted)
    }

    /// - Returns: the number of lines that were too long to be read.
    private func lines(_ cancellation: Cancellation, _ body: (ArraySlice<UInt8>) throws -> Void) throws -> Int {
        lseek(descriptor, 0, SEEK_SET)
        var lines = FileLines(
            FileBytes(descriptor: descriptor, name: path, cancellation: cancellation), limit: Self.maxLine)
        while let line = try lines.next() { try body(line) }
        return lines.tooLong
    }

    /// Appends text that ends in a line break.
    ///
    /// - Throws: `Failure` `cannot_write`.
    func append(text: String) throws {
        do {
            try SystemCall.writeAll(descriptor, Array(text.utf8))
        } catch {
            throw Self.cannotWrite(path, error)
        }
    }

    /// Waits until what was appended is on the disk.
    func flush() throws {
        guard fdatasync(descriptor) == 0 else { throw Self.cannotWrite(path, SystemError.last) }
    }

    static func cannotWrite(_ path: String, _ error: any Error) -> Failure {
        .cannotWrite(path, what: "answers", reason: "\(error)")
    }
}
