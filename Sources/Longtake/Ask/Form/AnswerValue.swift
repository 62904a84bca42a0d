internal import Checkpoints

/// The value of an answer in a declared form, as a program uses it.
public indirect enum AnswerValue: Sendable, Hashable, Codable {
    /// Null in a JSON document.
    case null
    /// Yes or no, or true or false in a JSON document.
    case bool(Bool)
    /// A number, or a time in seconds.
    case number(Double)
    /// A choice, or a line of text.
    case text(String)
    /// A list in a JSON document.
    case list([AnswerValue])
    /// An object in a JSON document.
    case object([String: AnswerValue])

    /// The value of a parsed JSON document.
    init(_ json: JSONValue) {
        self =
            switch json {
            case .null: .null
            case .bool(let value): .bool(value)
            case .integer(let value): .number(Double(value))
            case .number(let value): .number(value)
            case .string(let value): .text(value)
            case .array(let values): .list(values.map { AnswerValue($0) })
            case .object(let members): .object(members.mapValues { AnswerValue($0) })
            }
    }

    /// The value of a number or a time; nil for others.
    var number: Double? { if case .number(let value) = self { value } else { nil } }

    /// True if the value denies something: no, zero, an empty list, or a text such as "nothing".
    ///
    /// A JSON document denies if everything in it does.
    package var isDenial: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .number(let value): value == 0
        case .text(let text): text.isEmpty || Answer.isDenial(text)
        case .list(let values): values.allSatisfy(\.isDenial)
        case .object(let members): members.values.allSatisfy(\.isDenial)
        }
    }

    /// Decodes any JSON value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let values = try? container.decode([AnswerValue].self) {
            self = .list(values)
        } else {
            self = .object(try container.decode([String: AnswerValue].self))
        }
    }

    /// Encodes the value as JSON.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let values): try container.encode(values)
        case .object(let members): try container.encode(members)
        }
    }
}
