/// Reads little-endian integers from bytes in order; nil after their end.
struct LittleEndianReader {
    private let all: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) { all = bytes }

    /// Bytes that are not read yet.
    var left: Int { all.count - offset }

    /// The bytes `range` of all, whatever was read; the range must be inside.
    subscript(range: Range<Int>) -> ArraySlice<UInt8> { all[range] }

    mutating func u8() -> UInt8? {
        guard left > 0 else { return nil }
        defer { offset += 1 }
        return all[offset]
    }
    mutating func u16() -> UInt16? { integer(UInt16.self) }
    mutating func u32() -> UInt32? { integer(UInt32.self) }
    mutating func u64() -> UInt64? { integer(UInt64.self) }

    /// The next `count` bytes.
    mutating func bytes(_ count: Int) -> [UInt8]? { slice(count).map(Array.init) }

    /// The next `count` bytes, not copied.
    mutating func slice(_ count: Int) -> ArraySlice<UInt8>? {
        guard count >= 0, count <= left else { return nil }
        defer { offset += count }
        return all[offset..<offset + count]
    }

    /// Skips `count` bytes; false if there are fewer.
    @discardableResult
    mutating func skip(_ count: Int) -> Bool {
        guard count <= left else { return false }
        offset += count
        return true
    }

    private mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(_: Value.Type) -> Value? {
        let size = Value.bitWidth / 8
        guard size <= left else { return nil }
        defer { offset += size }
        var value: Value = 0
        for index in (0..<size).reversed() { value = value << 8 | Value(all[offset + index]) }
        return value
    }
}

/// CRC-32 of zip: reflected, polynomial 0x04C11DB7.
enum CRC32 {
    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0xedb8_8320 : value >> 1 }
    }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
    }
}
