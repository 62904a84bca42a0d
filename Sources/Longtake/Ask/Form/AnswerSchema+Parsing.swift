internal import Checkpoints
internal import Foundation
internal import Tokenizers

extension AnswerSchema.Kind {
    /// Keywords that say nothing about the answer.
    private static let notes: Set<String> = ["$schema", "$id", "$comment", "title", "description"]

    /// The keywords of each type.
    private static let keywords: [String: [String]] = [
        "object": ["properties", "required", "additionalProperties"], "array": ["items", "minItems", "maxItems"],
        "string": ["maxLength", "enum"], "integer": ["minimum", "maximum"], "number": ["minimum", "maximum"],
        "boolean": [], "null": [],
    ]
    private static let types = "object, array, string, integer, number, boolean or null"

    /// Reads a schema or a part of one.
    ///
    /// - Parameter depth: levels of objects and arrays, this one included.
    init(_ source: FormSource, depth: Int) throws(FormFault) {
        guard let map = source.map else { throw source.fault("a schema must be an object with a type") }
        var members: [String: FormSource] = [:]
        for member in map {
            guard let name = member.key.text else { throw member.key.fault("a keyword must be text") }
            guard members.updateValue(member.value, forKey: name) == nil else {
                throw member.key.fault("the keyword \(Self.quoted(name)) is there twice")
            }
        }
        let type = try Self.type(members, source)
        let known = Self.keywords[type] ?? []
        for key in map.map(\.key) {
            guard let name = key.text, name != "type", !Self.notes.contains(name), !known.contains(name) else {
                continue
            }
            let hint = Spelling.suggestion(for: name, among: known).map { "; did you mean \(Self.quoted($0))?" }
            let list = known.isEmpty ? "it takes no keyword" : "use \(known.joined(separator: ", "))"
            throw key.fault("\(Self.quoted(name)) is not supported for type \(type)\(hint ?? "; \(list)")")
        }
        guard depth <= AnswerSchema.depthLimit || !["object", "array"].contains(type) else {
            throw source.fault("the schema has more than \(AnswerSchema.depthLimit) levels of objects and arrays")
        }
        switch type {
        case "object": self = .object(try Self.properties(members, source, depth: depth))
        case "array":
            guard let items = members["items"] else { throw source.fault("an array needs \"items\", their schema") }
            let limit = AnswerSchema.itemCount.limit
            let least = try Self.count(members["minItems"], 0...limit) ?? 0
            let most = try Self.count(members["maxItems"], 0...limit) ?? max(AnswerSchema.itemCount.usual, least)
            guard least <= most else { throw source.fault("minItems is \(least), above maxItems \(most)") }
            self = .array(try Self(items, depth: depth + 1), least...most)
        case "string":
            if let values = members["enum"] {
                guard members["maxLength"] == nil else { throw source.fault("give enum or maxLength, not both") }
                self = .choice(try Self.texts(values, "enum", limit: AnswerSchema.enumLimit))
            } else {
                let length = AnswerSchema.stringLength
                self = .string(try Self.count(members["maxLength"], 0...length.limit) ?? length.usual)
            }
        case "integer", "number": self = .number(try Self.range(members, source, isWhole: type == "integer"))
        case "boolean": self = .boolean
        default: self = .null
        }
    }

    private static func type(_ members: [String: FormSource], _ source: FormSource) throws(FormFault) -> String {
        guard let value = members["type"] else {
            if members["enum"] != nil { return "string" }
            throw source.fault("\"type\" is missing; use \(types)")
        }
        guard value.list == nil else { throw value.fault("a list of types is not supported; give one: \(types)") }
        guard let type = value.text, keywords[type] != nil else {
            let known = Array(keywords.keys)
            let near = value.text.flatMap { Spelling.suggestion(for: $0, among: known) }
            let hint = near.map { "; did you mean \(quoted($0))?" } ?? "; use \(types)"
            throw value.fault("unknown type \(quoted(value.text ?? value.number ?? "?"))\(hint)")
        }
        return type
    }

    private static func properties(
        _ members: [String: FormSource], _ source: FormSource, depth: Int
    ) throws(FormFault) -> [AnswerSchema.Property] {
        if let more = members["additionalProperties"], more.number != "false" {
            throw more.fault("\"additionalProperties\" must be false: an answer has the declared properties only")
        }
        guard let listed = members["properties"], let map = listed.map else {
            throw (members["properties"] ?? source).fault("an object needs \"properties\", an object of schemas")
        }
        guard map.count <= AnswerSchema.propertyLimit else {
            throw listed.fault("an object may have \(AnswerSchema.propertyLimit) properties, this one has \(map.count)")
        }
        var required: Set<String> = []
        let names = map.compactMap(\.key.text)
        if let list = members["required"] {
            required = Set(try texts(list, "required", limit: AnswerSchema.propertyLimit, mayBeEmpty: true))
            if let unknown = required.sorted().first(where: { !names.contains($0) }) {
                throw list.fault("the required property \(quoted(unknown)) is not in \"properties\"")
            }
        }
        var properties: [AnswerSchema.Property] = []
        for member in map {
            let key = member.key
            guard let name = key.text, name.utf8.count <= 200 else {
                throw key.fault("the name of a property must be text of at most 200 bytes")
            }
            guard !properties.contains(where: { $0.name == name }) else {
                throw key.fault("the property \(quoted(name)) is there twice")
            }
            properties.append(
                .init(name: name, value: try Self(member.value, depth: depth + 1), isRequired: required.contains(name)))
        }
        return properties
    }

    /// A whole number in a range; nil if it is not given.
    private static func count(_ source: FormSource?, _ range: ClosedRange<Int>) throws(FormFault) -> Int? {
        guard let source else { return nil }
        guard let value = source.number.flatMap({ Int($0) }), range.contains(value) else {
            throw source.fault("this must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    private static func texts(
        _ source: FormSource, _ keyword: String, limit: Int, mayBeEmpty: Bool = false
    ) throws(FormFault) -> [String] {
        guard let list = source.list, mayBeEmpty || !list.isEmpty, list.count <= limit else {
            throw source.fault("\(quoted(keyword)) must be a list of \(mayBeEmpty ? 0 : 1) to \(limit) texts")
        }
        var texts: [String] = []
        for entry in list {
            guard let text = entry.text, text.utf8.count <= 1000 else {
                throw entry.fault("\(quoted(keyword)) must have texts of at most 1000 bytes only")
            }
            guard !texts.contains(text) else { throw entry.fault("\(quoted(text)) is there twice") }
            texts.append(text)
        }
        return texts
    }

    private static func range(
        _ members: [String: FormSource], _ source: FormSource, isWhole: Bool
    ) throws(FormFault) -> NumberRange {
        let low = try bound(members["minimum"], isWhole: isWhole, .up) ?? .min
        let high = try bound(members["maximum"], isWhole: isWhole, .down) ?? .max
        guard let range = NumberRange(isWhole: isWhole, low: low, high: high) else {
            let digits = isWhole ? "15 digits" : "12 digits before and 6 after the point"
            throw source.fault("there is no number of at most \(digits) from minimum to maximum")
        }
        return range
    }

    /// A limit, scaled as `NumberRange` is and rounded into the range.
    private static func bound(
        _ source: FormSource?, isWhole: Bool, _ rounding: NSDecimalNumber.RoundingMode
    ) throws(FormFault) -> Int64? {
        guard let source else { return nil }
        guard let text = source.number, DecimalNumber(text) != nil,
            let decimal = Decimal(string: text, locale: Locale(identifier: "en_US_POSIX"))
        else { throw source.fault("this must be a number") }
        let scale = isWhole ? 1 : NumberRange.scale
        let scaled = NSDecimalNumber(decimal: decimal * Decimal(scale)).rounding(
            accordingToBehavior: NSDecimalNumberHandler(
                roundingMode: rounding, scale: 0, raiseOnExactness: false, raiseOnOverflow: false,
                raiseOnUnderflow: false, raiseOnDivideByZero: false))
        let limit = Decimal(1_000_000_000_000_000_000)
        let clamped = min(max(scaled.decimalValue, -limit), limit)
        return NSDecimalNumber(decimal: clamped).int64Value
    }

    private static func quoted(_ text: String) -> String { JSONValue.quoted(text) }
}
