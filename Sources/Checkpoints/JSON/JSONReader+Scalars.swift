extension JSONReader {
    // MARK: Literals and numbers

    /// Reads an integer in 0...limit.
    package mutating func integer(upTo limit: Int) throws(JSONFault) -> Int {
        guard let first = peek(), Self.isDigit(first) else { throw fault("expected an integer of at least 0") }
        let start = offset
        var value = 0
        while offset < bytes.count, Self.isDigit(bytes[offset]) {
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

    /// Reads true, false or null; nil if a number begins here.
    mutating func literal() throws(JSONFault) -> JSONValue? {
        switch peek() {
        case UInt8(ascii: "t"): try word("true", .bool(true))
        case UInt8(ascii: "f"): try word("false", .bool(false))
        case UInt8(ascii: "n"): try word("null", .null)
        case let byte? where byte == UInt8(ascii: "-") || Self.isDigit(byte): nil
        case nil: throw fault("it ends where a value should be")
        default: throw fault("no value begins here")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
        for index in 0..<word.utf8CodeUnitCount {
            guard take(word.utf8Start[index]) else { throw fault("expected \(word)") }
        }
        return value
    }

    mutating func number() throws(JSONFault) -> JSONValue {
        let start = offset
        let isInteger = try scanNumber()
        guard offset - start <= 400 else { throw fault("a number has more than 400 characters") }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw fault("a number is out of range") }
        return .number(value)
    }

    /// Moves past a number; false if it has a fraction or an exponent.
    mutating func scanNumber() throws(JSONFault) -> Bool {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) {
            try digits()
        } else if offset < bytes.count, Self.isDigit(bytes[offset]) {
            throw fault("a number has a leading zero")
        }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        return isInteger
    }

    private mutating func digits() throws(JSONFault) {
        let start = offset
        while offset < bytes.count, Self.isDigit(bytes[offset]) { offset += 1 }
        guard offset > start else { throw fault("expected a digit") }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    // MARK: Strings

    /// Appends a string to `buffer`, as UTF-8.
    package mutating func string(into buffer: inout [UInt8]) throws(JSONFault) {
        guard peek() == UInt8(ascii: "\"") else { throw fault("expected a string") }
        offset += 1
        let start = offset
        while true {
            let plain = offset
            skipPlain()
            buffer.append(contentsOf: bytes[plain..<offset])
            if try endString(from: start) { return }
            offset += 1
            try escape(into: &buffer)
        }
    }

    /// Reads a string.
    mutating func string() throws(JSONFault) -> String {
        let start = offset + 1
        offset = start
        skipPlain()
        let end = offset
        // Most strings have no escape and are copied once.
        if try endString(from: start) { return String(decoding: bytes[start..<end], as: UTF8.self) }
        offset = start - 1
        var buffer: [UInt8] = []
        try string(into: &buffer)
        return String(decoding: buffer, as: UTF8.self)
    }

    /// Moves to the next quote, backslash or control character.
    private mutating func skipPlain() {
        while offset < bytes.count, bytes[offset] != 0x22, bytes[offset] != 0x5C, bytes[offset] >= 0x20 { offset += 1 }
    }

    /// Moves past the quote that ends the string begun at `start`; false at a backslash.
    private mutating func endString(from start: Int) throws(JSONFault) -> Bool {
        guard offset < bytes.count else { throw fault("a string does not end") }
        if bytes[offset] == 0x5C { return false }
        guard bytes[offset] == 0x22 else { throw fault("a string has an unescaped control character") }
        guard offset <= validCount else {
            throw JSONFault(kind: .utf8, offset: start, reason: "a string is not UTF-8")
        }
        offset += 1
        return true
    }

    /// Appends the character of an escape whose backslash has been read.
    private mutating func escape(into buffer: inout [UInt8]) throws(JSONFault) {
        guard offset < bytes.count else { throw fault("a string does not end") }
        let letter = bytes[offset]
        let start = offset - 1
        offset += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(letter)
        case UInt8(ascii: "b"): buffer.append(0x08)
        case UInt8(ascii: "f"): buffer.append(0x0C)
        case UInt8(ascii: "n"): buffer.append(0x0A)
        case UInt8(ascii: "r"): buffer.append(0x0D)
        case UInt8(ascii: "t"): buffer.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if code >= 0xD800, code < 0xDC00 {
                guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw loneSurrogate(at: start) }
                let low = try hexadecimal()
                guard low >= 0xDC00, low < 0xE000 else { throw loneSurrogate(at: start) }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw loneSurrogate(at: start) }
            buffer.append(contentsOf: scalar.utf8)
        default: throw JSONFault(kind: .syntax, offset: start, reason: "an unknown escape in a string")
        }
    }

    private func loneSurrogate(at offset: Int) -> JSONFault {
        JSONFault(kind: .syntax, offset: offset, reason: "a lone surrogate in a string")
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            let digit: UInt8
            switch offset < bytes.count ? bytes[offset] : 0 {
            case let byte where Self.isDigit(byte): digit = byte - 0x30
            case let byte where (0x61...0x66).contains(byte | 0x20): digit = (byte | 0x20) - 0x57
            default: throw fault("a \\u escape without four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            offset += 1
        }
        return value
    }
}
