internal import Foundation
internal import Glibc
internal import SystemCalls

/// The file that an evaluation's answers are appended to, one JSON object per line; a later run continues it.
final class PredictionsFile {
    /// Bytes of the longest line that is read; a longer one was not written here.
    private static let maxLine = 16 << 20

    /// One answer.
    struct Line: Encodable {
        let key: String
        let format: String
        let id: String
        let video: String
        let path: String
        let question: String
        let prompt: String
        let response: String
        let choice: String?
        let reference: String?
        let correct: Bool?
        let frames: Int
        let range: [Double]
        let model: String
        let time: String
    }

    private struct Known: Decodable {
        let key: String
        let response: String
    }

    let path: String
    private let descriptor: Int32

    /// Opens the file, or creates it.
    ///
    /// - Throws: `LongtakeError` `bad_request` if it is not a regular file, `Failure` `cannot_write`.
    init(path: String) throws {
        self.path = path
        let status: stat
        do {
            // O_NONBLOCK: opening a pipe must not block.
            descriptor = try SystemCall.open(path, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, mode: 0o644)
            status = try SystemCall.status(descriptor)
        } catch {
            throw Self.cannotWrite(path, error)
        }
        if let kind = FileKind.name(ofOther: status.st_mode) {
            throw LongtakeError(
                code: .badRequest,
                message: "\(path): the file of answers is \(kind); give a regular file, since it is read back")
        }
    }

    deinit { close(descriptor) }

    /// The responses of the wanted keys, and remarks; terminates a last line that was cut off.
    ///
    /// Of two lines with one key the later one counts.
    static func read(
        _ path: String, _ wanted: Set<String>, cancellation: Cancellation
    ) throws -> (responses: [String: String], notes: [String], isWhole: Bool) {
        guard InputPath(path).exists else { return ([:], [], true) }
        var responses: [String: String] = [:]
        var (broken, others) = (0, 0)
        var lines = FileLines(try FileBytes(path: path, cancellation: cancellation), limit: maxLine)
        let decoder = JSONDecoder()
        while let line = try lines.next() {
            if let known = try? decoder.decode(Known.self, from: Data(line)) {
                if wanted.contains(known.key) { responses[known.key] = known.response } else { others += 1 }
            } else if line.contains(where: { $0 > 0x20 }) {
                broken += 1
            }
        }
        broken += lines.tooLong
        var notes: [String] = []
        if broken > 0 {
            let what = counted(broken, "line is not an answer and stays", "lines are not answers and stay")
            notes.append("\(path): \(what) unchanged; an interrupted run may have left part of a line")
        }
        if others > 0 {
            let what = counted(others, "answer belongs", "answers belong")
            notes.append("\(path): \(what) to other questions, another model or other options")
        }
        return (responses, notes, lines.isWhole)
    }

    /// Begins a new line, after one that was cut off.
    func endLine() throws { try append(line: "") }

    /// Appends an answer.
    ///
    /// - Throws: `Failure` `cannot_write`.
    func append(_ value: Line) throws { try append(line: JSONText.line(value)) }

    private func append(line: String) throws {
        do {
            try SystemCall.writeAll(descriptor, Array((line + "\n").utf8))
        } catch {
            throw Self.cannotWrite(path, error)
        }
    }

    private static func cannotWrite(_ path: String, _ error: SystemError) -> Failure {
        .cannotWrite(path, what: "answers", reason: "\(error)")
    }
}
