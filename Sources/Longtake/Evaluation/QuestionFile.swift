internal import Checkpoints

/// A benchmark's JSON file: an array of objects, or one object after the other, as in JSON lines.
struct QuestionFile {
    /// Largest file, in bytes.
    private static let maxBytes = 256 << 20
    private static let limits = JSONReader.Limits(bytes: maxBytes, values: 20_000_000, depth: 16)

    /// The file as given.
    let path: String
    /// The values at the top of the document, each with its line.
    private let values: [(line: Int, value: JSONValue)]
    /// True if the document is an array.
    private let isArray: Bool

    /// Reads a file; "-" is standard input.
    ///
    /// - Throws: `LongtakeError` `bad_questions` with the line, `bad_request` if it cannot be read, `interrupted`.
    init(path: String, cancellation: Cancellation) throws {
        self.path = path
        guard let bytes = try FileBytes(path: path, cancellation: cancellation).all(limit: Self.maxBytes) else {
            throw LongtakeError(
                code: .badQuestions, message: "\(path): longer than \(Self.maxBytes) bytes, the limit for a file")
        }
        var values: [(Int, JSONValue)] = []
        var (line, counted) = (1, 0)
        /// The line of the byte at `offset`, which does not decrease from call to call.
        func lineNumber(at offset: Int) -> Int {
            let end = min(max(offset, counted), bytes.count)
            line += bytes[counted..<end].count { $0 == 0x0A }
            counted = end
            return line
        }
        do {
            var reader = try JSONReader(bytes, limits: Self.limits)
            reader.skipByteOrderMark()
            isArray = reader.peek() == UInt8(ascii: "[")
            if isArray {
                try reader.beginArray()
                while try reader.nextElement() {
                    _ = reader.peek()
                    let start = lineNumber(at: reader.offset)
                    values.append((start, try reader.value()))
                }
                try reader.expectEnd()
            } else {
                while reader.peek() != nil {
                    let start = lineNumber(at: reader.offset)
                    values.append((start, try reader.value()))
                }
            }
        } catch {
            throw QuestionEntry.bad(path, lineNumber(at: error.offset), "not valid JSON: \(error.reason)")
        }
        self.values = values
    }

    /// The objects of the file.
    ///
    /// - Throws: `LongtakeError` `bad_questions` if there is none, or something else among them.
    func entries() throws -> [QuestionEntry] {
        guard !values.isEmpty else { throw LongtakeError(code: .badQuestions, message: "\(path): no question in it") }
        return try values.enumerated().map { index, entry in
            guard let members = entry.value.objectValue else {
                throw QuestionEntry.bad(path, entry.line, "question \(index + 1) is not a JSON object")
            }
            return QuestionEntry(file: path, line: entry.line, number: index + 1, members: members)
        }
    }

    /// The one object that the document is; nil if it is something else.
    var object: [String: JSONValue]? { !isArray && values.count == 1 ? values.first?.value.objectValue : nil }
}
