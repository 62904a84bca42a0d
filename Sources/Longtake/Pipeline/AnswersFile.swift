internal import Foundation
internal import Glibc
internal import SystemCalls

/// The file a pipeline appends its answers to, one JSON object per line.
final class AnswersFile {
    /// Bytes of the longest line that is read; a longer one is not an answer written here.
    private static let maxLine = 16 << 20

    let path: String
    private let descriptor: Int32

    private struct Known: Decodable { let key: String }

    /// The result of reading the file.
    struct Contents {
        /// The wanted keys that the file contains.
        var keys: Set<String> = []
        /// Remarks about the file, one sentence each.
        var notes: [String] = []
    }

    /// Opens the file, or creates it and its folder.
    ///
    /// It is read back, so it must be a regular file or a link to one: a pipe would block and a device stores nothing.
    /// - Throws: `LongtakeError` `bad_pipeline` for another kind of file, `Failure` `cannot_write`.
    init(path: String) throws {
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
    }

    deinit { close(descriptor) }

    private static func requireRegular(_ status: stat, _ path: String) throws {
        guard let kind = FileKind.name(ofOther: status.st_mode) else { return }
        throw LongtakeError(
            code: .badPipeline,
            message: "\(path): the output is \(kind); give a regular file, since answers are appended and read back")
    }

    /// Reads the file line by line, in bounded memory, and terminates a last line that was cut off.
    ///
    /// - Throws: `LongtakeError` `interrupted`, `Failure` `cannot_write`.
    func contents(_ wanted: Set<String>, cancellation: Cancellation) throws -> Contents {
        var contents = Contents()
        lseek(descriptor, 0, SEEK_SET)
        var lines = FileLines(
            FileBytes(descriptor: descriptor, name: path, cancellation: cancellation), limit: Self.maxLine)
        let decoder = JSONDecoder()
        var broken = 0
        while let line = try lines.next() {
            if let known = try? decoder.decode(Known.self, from: Data(line)) {
                if wanted.contains(known.key) { contents.keys.insert(known.key) }
            } else if line.contains(where: { $0 > 0x20 }) {
                broken += 1
            }
        }
        broken += lines.tooLong
        if broken > 0 {
            let what = counted(broken, "line is not an answer and stays", "lines are not answers and stay")
            contents.notes.append("\(path): \(what) unchanged; an interrupted run may have left part of a line")
        }
        // The next answer must start on a line of its own.
        if !lines.isWhole { try append(line: "") }
        return contents
    }

    /// Appends one JSON object as a line.
    ///
    /// - Throws: `Failure` `cannot_write`.
    func append(_ value: some Encodable) throws { try append(line: JSONText.line(value)) }

    private func append(line: String) throws {
        do {
            try SystemCall.writeAll(descriptor, Array((line + "\n").utf8))
        } catch {
            throw Self.cannotWrite(path, error)
        }
    }

    private static func cannotWrite(_ path: String, _ error: SystemError) -> Failure {
        Failure(code: "cannot_write", message: "\(path): cannot write answers: \(error)", exitCode: Exit.space)
    }
}
