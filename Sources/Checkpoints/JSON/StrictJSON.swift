internal import Tensors

/// A parse error of a JSON document, with its byte offset.
package struct JSONFault: Error, CustomStringConvertible, Sendable, Equatable {
    /// The category of a fault, for the caller's error code.
    package enum Kind: Sendable, Equatable { case utf8, syntax, duplicateKey, depth, size }
    package let kind: Kind
    package let offset: Int
    package let reason: String

    package var description: String { "not valid JSON at byte \(offset): \(reason)" }
}

/// A JSON parser that rejects what others silently repair.
///
/// It rejects duplicate keys, lone surrogates, NaN, trailing commas and unlimited nesting. Source: RFC 8259; the
/// safetensors format forbids duplicate keys, and Foundation's decoder silently keeps one of them.
package struct StrictJSON {
    /// The limits of a document: bytes, values, levels of nesting.
    package struct Limits: Sendable {
        package var bytes: Int
        package var values: Int
        package var depth: Int
        package init(bytes: Int, values: Int, depth: Int) {
            self.bytes = bytes
            self.values = values
            self.depth = depth
        }
        /// Limits for a config file.
        package static let config = Limits(bytes: 8 << 20, values: 200_000, depth: 32)
    }

    private let bytes: UnsafeRawBufferPointer
    private let limits: Limits
    private var place = 0
    private var values = 0

    private init(bytes: UnsafeRawBufferPointer, limits: Limits) {
        self.bytes = bytes
        self.limits = limits
    }

    /// Parses one document, which may be surrounded by white space; throws `JSONFault`.
    ///
    /// Two keys are duplicates if Swift considers the strings equal (canonical equivalence).
    package static func parse(_ bytes: UnsafeRawBufferPointer, limits: Limits = .config) throws(JSONFault) -> JSONValue
    {
        guard bytes.count <= limits.bytes else {
            throw JSONFault(
                kind: .size, offset: limits.bytes, reason: "it is \(bytes.count) bytes, the limit is \(limits.bytes)")
        }
        var reader = StrictJSON(bytes: bytes, limits: limits)
        reader.skipSpace()
        let value = try reader.value(depth: 1)
        reader.skipSpace()
        guard reader.place == bytes.count else { throw reader.syntax("something follows the document") }
        return value
    }

    /// Parses one document; throws `JSONFault`.
    package static func parse(_ bytes: [UInt8], limits: Limits = .config) throws(JSONFault) -> JSONValue {
        let result: Result<JSONValue, JSONFault> = bytes.withUnsafeBytes { raw in
            do throws(JSONFault) { return .success(try parse(raw, limits: limits)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private func fault(_ kind: JSONFault.Kind, _ reason: String) -> JSONFault {
        JSONFault(kind: kind, offset: place, reason: reason)
    }
    private func syntax(_ reason: String) -> JSONFault { fault(.syntax, reason) }

    private var next: UInt8? { place < bytes.count ? bytes[place] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { place += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        place += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONFault) -> JSONValue {
        values += 1
        guard values <= limits.values else { throw fault(.size, "it has more than \(limits.values) values") }
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case .some(let byte) where byte == UInt8(ascii: "-") || Self.isDigit(byte): return try number()
        case nil: throw syntax("it ends where a value should be")
        default: throw syntax("no value begins here")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
        for position in 0..<word.utf8CodeUnitCount {
            guard take(word.utf8Start[position]) else { throw syntax("expected \(word)") }
        }
        return value
    }

    private mutating func object(depth: Int) throws(JSONFault) -> JSONValue {
        guard depth <= limits.depth else { throw fault(.depth, "it is nested deeper than \(limits.depth) levels") }
        place += 1
        var members: [String: JSONValue] = [:]
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw syntax("expected a key") }
            let key = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw syntax("expected ':' after a key") }
            skipSpace()
            let value = try value(depth: depth + 1)
            guard members.updateValue(value, forKey: key) == nil else {
                throw fault(.duplicateKey, "the key \(WeightsError.quoted(key)) appears twice in one object")
            }
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "}")) else { throw syntax("expected ',' or '}'") }
            return .object(members)
        }
    }

    private mutating func array(depth: Int) throws(JSONFault) -> JSONValue {
        guard depth <= limits.depth else { throw fault(.depth, "it is nested deeper than \(limits.depth) levels") }
        place += 1
        var elements: [JSONValue] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            skipSpace()
            elements.append(try value(depth: depth + 1))
            skipSpace()
            if take(UInt8(ascii: ",")) { continue }
            guard take(UInt8(ascii: "]")) else { throw syntax("expected ',' or ']'") }
            return .array(elements)
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    private mutating func digits() throws(JSONFault) {
        guard let first = next, Self.isDigit(first) else { throw syntax("expected a digit") }
        while let byte = next, Self.isDigit(byte) { place += 1 }
    }

    private mutating func number() throws(JSONFault) -> JSONValue {
        let start = place
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) {
            try digits()
        } else if let byte = next, Self.isDigit(byte) {
            throw syntax("a number has a leading zero")
        }
        var whole = true
        if take(UInt8(ascii: ".")) {
            whole = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            whole = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        guard place - start <= 400 else { throw syntax("a number has more than 400 characters") }
        let text = String(decoding: bytes[start..<place], as: UTF8.self)
        if whole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw syntax("a number is out of range") }
        return .number(value)
    }

    private mutating func string() throws(JSONFault) -> String {
        place += 1
        let start = place
        var plain = true
        while let byte = next, byte != UInt8(ascii: "\"") {
            guard byte >= 0x20 else { throw syntax("a string has an unescaped control character") }
            if byte == UInt8(ascii: "\\") {
                plain = false
                place += 1
            }
            place += 1
        }
        guard place < bytes.count else {
            place = bytes.count
            throw syntax("a string does not end")
        }
        let end = place
        let raw = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
        place = end + 1
        if plain {
            guard let text = String(validating: raw, as: UTF8.self) else {
                throw JSONFault(kind: .utf8, offset: start, reason: "a string is not UTF-8")
            }
            return text
        }
        return try unescape(raw, at: start)
    }

    private func unescape(_ raw: UnsafeRawBufferPointer, at start: Int) throws(JSONFault) -> String {
        func bad(_ offset: Int, _ reason: String) -> JSONFault {
            JSONFault(kind: .syntax, offset: start + offset, reason: reason)
        }
        func hex(_ from: Int) throws(JSONFault) -> UInt32 {
            guard from + 4 <= raw.count else { throw bad(from, "\\u needs four hex digits") }
            var value: UInt32 = 0
            for offset in from..<from + 4 {
                guard let digit = Character(UnicodeScalar(raw[offset])).hexDigitValue, raw[offset] < 0x80 else {
                    throw bad(offset, "\\u needs four hex digits")
                }
                value = value << 4 | UInt32(digit)
            }
            return value
        }
        var out: [UInt8] = []
        out.reserveCapacity(raw.count)
        var at = 0
        while at < raw.count {
            guard raw[at] == UInt8(ascii: "\\") else {
                out.append(raw[at])
                at += 1
                continue
            }
            guard at + 1 < raw.count else { throw bad(at, "a lone backslash") }
            at += 2
            switch raw[at - 1] {
            case UInt8(ascii: "\""): out.append(0x22)
            case UInt8(ascii: "\\"): out.append(0x5c)
            case UInt8(ascii: "/"): out.append(0x2f)
            case UInt8(ascii: "b"): out.append(0x08)
            case UInt8(ascii: "f"): out.append(0x0c)
            case UInt8(ascii: "n"): out.append(0x0a)
            case UInt8(ascii: "r"): out.append(0x0d)
            case UInt8(ascii: "t"): out.append(0x09)
            case UInt8(ascii: "u"):
                var code = try hex(at)
                at += 4
                if code >= 0xd800, code < 0xdc00 {
                    guard at + 6 <= raw.count, raw[at] == UInt8(ascii: "\\"), raw[at + 1] == UInt8(ascii: "u") else {
                        throw bad(at, "half of a surrogate pair")
                    }
                    let low = try hex(at + 2)
                    guard low >= 0xdc00, low < 0xe000 else { throw bad(at, "half of a surrogate pair") }
                    code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
                    at += 6
                }
                guard let scalar = UnicodeScalar(code) else { throw bad(at, "half of a surrogate pair") }
                out.append(contentsOf: Array(String(scalar).utf8))
            default: throw bad(at - 1, "an unknown escape")
            }
        }
        guard let text = String(validating: out, as: UTF8.self) else {
            throw JSONFault(kind: .utf8, offset: start, reason: "a string is not UTF-8")
        }
        return text
    }
}
