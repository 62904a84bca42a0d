internal import Checkpoints
internal import Yams

/// A form as it is written in a file, JSON or YAML: values in the order of the file, each with its position.
struct FormSource {
    struct Member {
        let key: FormSource
        let value: FormSource
    }

    enum Content {
        /// A number, true, false or null; in YAML also an unquoted text.
        case scalar(String)
        case text(String)
        case list([FormSource])
        case map([Member])
    }

    let content: Content
    /// From 1; 0: unknown.
    let line: Int
    let column: Int
    let isYAML: Bool

    /// A scalar's text.
    var text: String? {
        switch content {
        case .text(let text): text
        case .scalar(let text): isYAML ? text : nil
        default: nil
        }
    }

    /// A number as it is written.
    var number: String? { if case .scalar(let text) = content { text } else { nil } }

    var list: [FormSource]? { if case .list(let values) = content { values } else { nil } }

    var map: [Member]? { if case .map(let members) = content { members } else { nil } }

    func fault(_ reason: String) -> FormFault { FormFault(line: line, column: column, reason: reason) }

    // MARK: YAML

    init(_ node: Node) throws(FormFault) {
        isYAML = true
        (line, column) = (node.mark?.line ?? 0, node.mark?.column ?? 0)
        switch node {
        case .scalar(let scalar): content = scalar.style == .plain ? .scalar(scalar.string) : .text(scalar.string)
        case .sequence(let sequence):
            var values: [FormSource] = []
            for node in sequence { values.append(try FormSource(node)) }
            content = .list(values)
        case .mapping(let mapping):
            var members: [Member] = []
            for (key, value) in mapping {
                members.append(Member(key: try FormSource(key), value: try FormSource(value)))
            }
            content = .map(members)
        default: throw FormFault(line: line, column: column, reason: "aliases are not supported")
        }
    }

    // MARK: JSON

    /// Most levels of a document that is read.
    private static let depth = 32

    /// Parses a JSON document.
    init(json bytes: [UInt8]) throws(FormFault) {
        do {
            var reader = try JSONReader(bytes, limits: .init(bytes: 1 << 20, values: 100_000, depth: Self.depth))
            reader.skipByteOrderMark()
            self = try Self(&reader, bytes)
            try reader.expectEnd()
        } catch {
            let (line, column) = Self.position(of: error.offset, in: bytes)
            throw FormFault(line: line, column: column, reason: "not valid JSON: \(error.reason)")
        }
    }

    private init(_ reader: inout JSONReader, _ bytes: [UInt8]) throws(JSONFault) {
        isYAML = false
        let first = reader.peek()
        let start = reader.offset
        (line, column) = Self.position(of: start, in: bytes)
        switch first {
        case UInt8(ascii: "{"):
            try reader.beginObject()
            var members: [Member] = []
            var key: [UInt8] = []
            while try reader.nextKey(into: &key) {
                let value = try Self(&reader, bytes)
                // The position of the value: the key's is not known any more, and they are on one line.
                let name = Self(.text(String(decoding: key, as: UTF8.self)), line: value.line, column: value.column)
                members.append(Member(key: name, value: value))
            }
            content = .map(members)
        case UInt8(ascii: "["):
            try reader.beginArray()
            var values: [FormSource] = []
            while try reader.nextElement() { values.append(try Self(&reader, bytes)) }
            content = .list(values)
        default:
            if case .string(let text) = try reader.value() {
                content = .text(text)
            } else {
                content = .scalar(String(decoding: bytes[start..<reader.offset], as: UTF8.self))
            }
        }
    }

    private init(_ content: Content, line: Int, column: Int) {
        (self.content, self.line, self.column, isYAML) = (content, line, column, false)
    }

    private static func position(of offset: Int, in bytes: [UInt8]) -> (line: Int, column: Int) {
        let before = bytes.prefix(offset)
        let start = before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0
        let characters = before[start...].count { $0 & 0xC0 != 0x80 }
        return (before.count { $0 == 0x0A } + 1, characters + 1)
    }
}

/// What is wrong with a form, and where it is written.
struct FormFault: Error, CustomStringConvertible {
    /// From 1; 0: unknown.
    let line: Int
    let column: Int
    let reason: String

    var description: String { line > 0 ? "line \(line), column \(column): \(reason)" : reason }
}
