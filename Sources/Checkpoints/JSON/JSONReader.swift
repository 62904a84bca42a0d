internal import Tensors

/// A strict pull parser for JSON: the caller asks for each key and value, so a large document needs no tree.
///
/// It rejects what others silently repair: lone surrogates, control characters in strings, NaN, leading zeros,
/// trailing commas and unlimited nesting. `value()` also rejects duplicate keys; a caller that reads an object key by
/// key checks them itself. Source: RFC 8259.
package struct JSONReader: Sendable {
    /// The limits of a document.
    package struct Limits: Sendable {
        /// Bytes of the document.
        package var bytes: Int
        /// Values in it, at all levels together.
        package var values: Int
        /// Levels of nested objects and arrays.
        package var depth: Int

        /// Limits in bytes, values and levels.
        package init(bytes: Int, values: Int, depth: Int) {
            self.bytes = bytes
            self.values = values
            self.depth = depth
        }

        /// The limits for a config file.
        package static let config = Limits(bytes: 8 << 20, values: 200_000, depth: 32)
    }

    /// The offset of the next byte to read.
    package internal(set) var offset = 0
    let bytes: [UInt8]
    private let limits: Limits
    let validCount: Int  // bytes before the first one that is not UTF-8
    private var values = 0
    private var depth = 0
    private var isFirst = false  // no key or element of the innermost container has been read

    /// A reader at the start of a document; throws a fault of kind `size` if it is longer than the limit.
    package init(_ bytes: [UInt8], limits: Limits = .config) throws(JSONFault) {
        guard bytes.count <= limits.bytes else {
            throw JSONFault(
                kind: .size, offset: limits.bytes, reason: "it is \(bytes.count) bytes, the limit is \(limits.bytes)")
        }
        self.bytes = bytes
        self.limits = limits
        do {
            _ = try UTF8Span(validating: bytes.span)
            validCount = bytes.count
        } catch {
            validCount = error.byteOffsets.lowerBound
        }
    }

    /// A fault at the current offset.
    package func fault(_ reason: String) -> JSONFault { fault(.syntax, reason) }

    func fault(_ kind: JSONFault.Kind, _ reason: String) -> JSONFault {
        JSONFault(kind: kind, offset: offset, reason: reason)
    }

    // MARK: The document

    /// Throws unless the whole document is UTF-8; without this call only its strings must be.
    package func requireUTF8() throws(JSONFault) {
        guard validCount == bytes.count else {
            throw JSONFault(kind: .utf8, offset: validCount, reason: "it is not UTF-8")
        }
    }

    /// Skips a byte order mark at the start, which some editors write and RFC 8259 lets a reader ignore.
    package mutating func skipByteOrderMark() {
        if offset == 0, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
    }

    /// A reader of the same document at the start of a value, for values that can be read only after a later key.
    package func moved(to offset: Int) -> JSONReader {
        var copy = self
        copy.offset = offset
        copy.depth = 0
        return copy
    }

    /// Skips white space and returns the first byte of the next value or punctuation; nil at the end.
    package mutating func peek() -> UInt8? {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return bytes[offset]
            }
        }
        return nil
    }

    /// Throws unless only white space is left.
    package mutating func expectEnd() throws(JSONFault) {
        guard peek() == nil else { throw fault("something follows the document") }
    }

    // MARK: Objects and arrays

    /// Begins an object; `nextKey(into:)` then leads from key to key.
    package mutating func beginObject() throws(JSONFault) { try begin(UInt8(ascii: "{"), "expected an object") }

    /// Begins an array; `nextElement()` then leads from element to element.
    package mutating func beginArray() throws(JSONFault) { try begin(UInt8(ascii: "["), "expected an array") }

    /// Reads the next key of an object into `key`, as UTF-8; false at the end of the object, which is read too.
    ///
    /// Between two calls exactly one value must be read.
    package mutating func nextKey(into key: inout [UInt8]) throws(JSONFault) -> Bool {
        guard try advance(to: UInt8(ascii: "}"), "expected ',' or '}'") else { return false }
        guard peek() == UInt8(ascii: "\"") else { throw fault("expected a key") }
        key.removeAll(keepingCapacity: true)
        try string(into: &key)
        try colon()
        return true
    }

    /// True if an array has another element, which must then be read; false at its end, which is read too.
    package mutating func nextElement() throws(JSONFault) -> Bool {
        try advance(to: UInt8(ascii: "]"), "expected ',' or ']'")
    }

    private mutating func begin(_ bracket: UInt8, _ reason: String) throws(JSONFault) {
        guard peek() == bracket else { throw fault(reason) }
        guard depth < limits.depth else { throw fault(.depth, "it is nested deeper than \(limits.depth) levels") }
        depth += 1
        offset += 1
        isFirst = true
    }

    private mutating func advance(to bracket: UInt8, _ reason: String) throws(JSONFault) -> Bool {
        let byte = peek()
        if byte == bracket {
            depth -= 1
            offset += 1
            isFirst = false
            return false
        }
        if isFirst {
            isFirst = false
            return true
        }
        guard byte == UInt8(ascii: ",") else { throw fault(reason) }
        offset += 1
        return true
    }

    private mutating func colon() throws(JSONFault) {
        guard peek() == UInt8(ascii: ":") else { throw fault("expected ':' after a key") }
        offset += 1
    }

    // MARK: Values

    /// Reads a value of any kind as a tree.
    ///
    /// Two keys of an object are duplicates if Swift considers the strings equal (canonical equivalence).
    package mutating func value() throws(JSONFault) -> JSONValue {
        try countValue()
        switch peek() {
        case UInt8(ascii: "{"):
            try beginObject()
            var members: [String: JSONValue] = [:]
            while try advance(to: UInt8(ascii: "}"), "expected ',' or '}'") {
                guard peek() == UInt8(ascii: "\"") else { throw fault("expected a key") }
                let key = try string()
                try colon()
                guard members.updateValue(try value(), forKey: key) == nil else {
                    throw fault(.duplicateKey, "the key \(WeightsError.quoted(key)) appears twice in one object")
                }
            }
            return .object(members)
        case UInt8(ascii: "["):
            try beginArray()
            var elements: [JSONValue] = []
            while try nextElement() { elements.append(try value()) }
            return .array(elements)
        case UInt8(ascii: "\""): return .string(try string())
        default:
            if let value = try literal() { return value }
            return try number()
        }
    }

    /// Skips a value of any kind; numbers are not checked for their range, and objects not for duplicate keys.
    package mutating func skip() throws(JSONFault) {
        var buffer: [UInt8] = []
        try skip(using: &buffer)
    }

    private mutating func skip(using buffer: inout [UInt8]) throws(JSONFault) {
        try countValue()
        switch peek() {
        case UInt8(ascii: "{"):
            try beginObject()
            while try nextKey(into: &buffer) { try skip(using: &buffer) }
        case UInt8(ascii: "["):
            try beginArray()
            while try nextElement() { try skip(using: &buffer) }
        case UInt8(ascii: "\""):
            buffer.removeAll(keepingCapacity: true)
            try string(into: &buffer)
        default: if try literal() == nil { _ = try scanNumber() }
        }
    }

    private mutating func countValue() throws(JSONFault) {
        values += 1
        guard values <= limits.values else { throw fault(.size, "it has more than \(limits.values) values") }
    }
}
