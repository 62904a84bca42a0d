internal import Checkpoints
internal import Tokenizers

/// The JSON Schema of an answer: the subset that a model can be held to token by token.
///
/// `object` with `properties` and `required`, in the order of the schema; `array` with `items`, `minItems`, `maxItems`;
/// `string` with `maxLength` or `enum`; `integer` and `number` with `minimum`, `maximum`; `boolean`; `null`.
public struct AnswerSchema: Sendable, Hashable {
    indirect enum Kind: Sendable, Hashable {
        case object([Property])
        case array(Kind, ClosedRange<Int>)
        /// The most characters (Unicode scalars).
        case string(Int)
        case choice([String])
        case number(NumberRange)
        case boolean, null
    }

    struct Property: Sendable, Hashable {
        let name: String
        let value: Kind
        let isRequired: Bool
    }

    let root: Kind

    /// Reads a schema.
    ///
    /// - Throws: `Failure` `bad_request` that names the line, the column and what is not supported.
    public init(json: String) throws {
        do {
            self = try Self(FormSource(json: Array(json.utf8)))
        } catch {
            throw Failure(LongtakeError(code: .badRequest, message: "the schema, \(error)"))
        }
    }

    init(_ source: FormSource) throws(FormFault) { root = try Kind(source, depth: 1) }

    /// Most characters of a string without `maxLength`, and of any.
    static let stringLength = (usual: 200, limit: 10_000)
    /// Most items of an array without `maxItems`, and of any.
    static let itemCount = (usual: 16, limit: 1000)
    /// Most properties of an object.
    static let propertyLimit = 64
    /// Most values of an enum.
    static let enumLimit = 1000
    /// Most levels of objects and arrays.
    static let depthLimit = 8

    /// Equal for equal schemas, different for others.
    var key: String { root.key }
}

extension AnswerSchema.Kind {
    fileprivate var key: String {
        switch self {
        case .object(let properties):
            "{"
                + properties.map { JSONValue.quoted($0.name) + ($0.isRequired ? ":" : "?:") + $0.value.key }
                .joined(separator: ",") + "}"
        case .array(let items, let count): "[\(items.key)]\(count.lowerBound)-\(count.upperBound)"
        case .string(let most): "string\(most)"
        case .choice(let texts): "enum" + JSONValue.array(texts.map { .string($0) }).text()
        case .number(let range): "number\(range.decimals)(\(range.low),\(range.high))"
        case .boolean: "boolean"
        case .null: "null"
        }
    }
}
