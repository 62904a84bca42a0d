/// A pull parser for JSON text: reads a vocabulary of 128,000 entries directly into the token table, without a tree.
///
/// Strict: UTF-8, paired surrogates, no trailing commas, at most 64 levels of nesting. Errors name the byte offset.
struct JSONReader {
    let bytes: [UInt8]
    let file: String
    private(set) var offset: Int

    private static let maximumDepth = 64

    /// Throws if the bytes are not UTF-8.
    init(_ bytes: [UInt8], file: String) throws {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw TokenizerError.malformed(file, "the text is not UTF-8")
        }
        self.bytes = bytes
        self.file = file
        // Some editors write a byte order mark.
        offset = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    }

    /// A reader of the same text at `offset`, for values that can be read only after a later key.
    func moved(to offset: Int) -> JSONReader {
        var copy = self
        copy.offset = offset
        return copy
    }

    func fault(_ what: String) -> TokenizerError { .json(file, what, at: offset) }

    /// Skips white space and returns the first byte of the next value or punctuation.
    mutating func peek() throws -> UInt8 {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return bytes[offset]
            }
        }
        throw fault("the text ends too early")
    }

    private mutating func expect(_ byte: UInt8, _ what: String) throws {
        guard try peek() == byte else { throw fault("expected \(what)") }
        offset += 1
    }

    /// Throws unless only white space is left.
    mutating func expectEnd() throws {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: throw fault("text after the end")
            }
        }
    }

    /// Reads an object; `body` receives each key as UTF-8 and must read exactly its value.
    mutating func object(_ body: (inout JSONReader, _ key: [UInt8]) throws -> Void) throws {
        try expect(UInt8(ascii: "{"), "an object")
        if try peek() == UInt8(ascii: "}") {
            offset += 1
            return
        }
        var key: [UInt8] = []
        while true {
            key.removeAll(keepingCapacity: true)
            try string(into: &key)
            try expect(UInt8(ascii: ":"), "a colon")
            try body(&self, key)
            if try peek() == UInt8(ascii: ",") {
                offset += 1
                continue
            }
            try expect(UInt8(ascii: "}"), "a comma or the end of the object")
            return
        }
    }

    /// Reads an array; `body` must read exactly one element per call.
    mutating func array(_ body: (inout JSONReader) throws -> Void) throws {
        try expect(UInt8(ascii: "["), "an array")
        if try peek() == UInt8(ascii: "]") {
            offset += 1
            return
        }
        while true {
            try body(&self)
            if try peek() == UInt8(ascii: ",") {
                offset += 1
                continue
            }
            try expect(UInt8(ascii: "]"), "a comma or the end of the array")
            return
        }
    }

    /// Appends a string's UTF-8 to `buffer`.
    mutating func string(into buffer: inout [UInt8]) throws {
        try expect(UInt8(ascii: "\""), "a string")
        while true {
            let start = offset
            while offset < bytes.count, bytes[offset] != 0x22, bytes[offset] != 0x5C, bytes[offset] >= 0x20 {
                offset += 1
            }
            buffer.append(contentsOf: bytes[start..<offset])
            guard offset < bytes.count else { throw fault("a string does not end") }
            switch bytes[offset] {
            case 0x22:
                offset += 1
                return
            case 0x5C:
                offset += 1
                try escape(into: &buffer)
            default: throw fault("a control character in a string")
            }
        }
    }

    private mutating func escape(into buffer: inout [UInt8]) throws {
        guard offset < bytes.count else { throw fault("a string does not end") }
        let letter = bytes[offset]
        offset += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(letter)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"):
            var scalar = try hexadecimal()
            if scalar >= 0xD800, scalar < 0xDC00 {
                guard offset + 1 < bytes.count, bytes[offset] == 0x5C, bytes[offset + 1] == UInt8(ascii: "u") else {
                    throw fault("a lone surrogate")
                }
                offset += 2
                let low = try hexadecimal()
                guard low >= 0xDC00, low < 0xE000 else { throw fault("a lone surrogate") }
                scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
            } else if scalar >= 0xDC00, scalar < 0xE000 {
                throw fault("a lone surrogate")
            }
            appendUTF8(scalar, to: &buffer)
        default: throw fault("an unknown escape in a string")
        }
    }

    private mutating func hexadecimal() throws -> UInt32 {
        guard offset + 4 <= bytes.count else { throw fault("a string does not end") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(UnicodeScalar(bytes[offset])).hexDigitValue else {
                throw fault("a \\u escape without four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }

    /// Reads an integer in 0...limit.
    mutating func index(limit: Int) throws -> Int {
        let start = offset
        guard try peek() >= 0x30, bytes[offset] <= 0x39 else { throw fault("expected an integer of at least 0") }
        var value = 0
        while offset < bytes.count, bytes[offset] >= 0x30, bytes[offset] <= 0x39 {
            value = value * 10 + Int(bytes[offset] - 0x30)
            guard value <= limit else {
                offset = start
                throw fault("a number above the limit of \(limit)")
            }
            offset += 1
        }
        if offset < bytes.count, [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains(bytes[offset]) {
            throw fault("expected an integer")
        }
        return value
    }

    private mutating func literal(_ word: StaticString) throws {
        for index in 0..<word.utf8CodeUnitCount {
            guard offset < bytes.count, bytes[offset] == word.utf8Start[index] else { throw fault("an unknown word") }
            offset += 1
        }
    }

    /// Skips one value of any kind.
    mutating func skip(depth: Int = 0) throws {
        guard depth < Self.maximumDepth else { throw fault("nesting deeper than \(Self.maximumDepth)") }
        switch try peek() {
        case UInt8(ascii: "{"): try object { reader, _ in try reader.skip(depth: depth + 1) }
        case UInt8(ascii: "["): try array { reader in try reader.skip(depth: depth + 1) }
        case UInt8(ascii: "\""):
            var ignored: [UInt8] = []
            try string(into: &ignored)
        default: _ = try scalarValue()
        }
    }

    /// Reads one value of any kind as a tree; only for small values.
    mutating func value(depth: Int = 0) throws -> TokenizerValue {
        guard depth < Self.maximumDepth else { throw fault("nesting deeper than \(Self.maximumDepth)") }
        switch try peek() {
        case UInt8(ascii: "{"):
            var members: [String: TokenizerValue] = [:]
            try object { reader, key in
                let name = String(decoding: key, as: UTF8.self)
                guard members[name] == nil else {
                    throw reader.fault("the key \(TokenizerError.quoted(name)) appears twice")
                }
                members[name] = try reader.value(depth: depth + 1)
            }
            return .object(members)
        case UInt8(ascii: "["):
            var elements: [TokenizerValue] = []
            try array { reader in elements.append(try reader.value(depth: depth + 1)) }
            return .array(elements)
        case UInt8(ascii: "\""):
            var text: [UInt8] = []
            try string(into: &text)
            return .string(String(decoding: text, as: UTF8.self))
        default: return try scalarValue()
        }
    }

    private mutating func scalarValue() throws -> TokenizerValue {
        switch try peek() {
        case UInt8(ascii: "t"):
            try literal("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try literal("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try literal("null")
            return .null
        default:
            let start = offset
            while offset < bytes.count {
                switch bytes[offset] {
                case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
                    UInt8(ascii: "E"):
                    offset += 1
                    continue
                default: break
                }
                break
            }
            guard let number = Double(String(decoding: bytes[start..<offset], as: UTF8.self)) else {
                throw fault("an unknown value")
            }
            return .number(number)
        }
    }
}

/// A small JSON value as a tree.
enum TokenizerValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([TokenizerValue])
    case object([String: TokenizerValue])

    subscript(_ key: String) -> TokenizerValue? {
        guard case .object(let members) = self else { return nil }
        return members[key]
    }
    var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }
    var bool: Bool? {
        guard case .bool(let flag) = self else { return nil }
        return flag
    }
    var array: [TokenizerValue]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }
    var object: [String: TokenizerValue]? {
        guard case .object(let members) = self else { return nil }
        return members
    }
    /// The value if it is an integer in 0...Int32.max.
    var index: Int? {
        guard case .number(let number) = self, number >= 0, number <= Double(Int32.max) else { return nil }
        return Int(exactly: number)
    }
}
