/// A value of a JSON document read by `JSONReader`.
package enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    /// The value if it is true or false.
    package var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }
    /// The value if it is an integer literal that fits Int: `3`, not `3.0`.
    package var intValue: Int? {
        if case .integer(let value) = self { Int(exactly: value) } else { nil }
    }
    /// The value of any number.
    package var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
    /// The value if it is a string.
    package var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }
    /// The elements if it is an array.
    package var arrayValue: [JSONValue]? {
        if case .array(let value) = self { value } else { nil }
    }
    /// The members if it is an object.
    package var objectValue: [String: JSONValue]? {
        if case .object(let value) = self { value } else { nil }
    }
    /// True for null.
    package var isNull: Bool { self == .null }

    /// The member `key` of an object; nil if it is absent or this is not an object.
    package subscript(key: String) -> JSONValue? { objectValue?[key] }
}

extension JSONValue {
    /// Serializes the value with sorted keys, so that equal values give equal bytes; `indented` adds one space per
    /// level.
    package func text(indented: Bool = false) -> String {
        var out = ""
        write(to: &out, level: indented ? 0 : nil)
        return out
    }

    private func write(to out: inout String, level: Int?) {
        func newline(_ level: Int?) {
            if let level { out += "\n" + String(repeating: " ", count: level) }
        }
        let inner = level.map { $0 + 1 }
        switch self {
        case .null: out += "null"
        case .bool(let value): out += value ? "true" : "false"
        case .integer(let value): out += String(value)
        // JSON cannot represent NaN and infinity; other writers also fall back to null.
        case .number(let value): out += value.isFinite ? String(value) : "null"
        case .string(let value): out += Self.quoted(value)
        case .array(let values):
            out += "["
            for (index, value) in values.enumerated() {
                if index > 0 { out += "," }
                newline(inner)
                value.write(to: &out, level: inner)
            }
            if !values.isEmpty { newline(level) }
            out += "]"
        case .object(let members):
            out += "{"
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { out += "," }
                newline(inner)
                out += Self.quoted(member.key) + (level == nil ? ":" : ": ")
                member.value.write(to: &out, level: inner)
            }
            if !members.isEmpty { newline(level) }
            out += "}"
        }
    }

    /// `text` as a JSON string literal.
    package static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default:
                if scalar.value < 0x20 {
                    let hex = String(scalar.value, radix: 16)
                    out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    out.unicodeScalars.append(scalar)
                }
            }
        }
        return out + "\""
    }
}
