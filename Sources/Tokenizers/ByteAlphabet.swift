/// GPT-2's byte alphabet: each byte as a printable character, so that a vocabulary file can hold any bytes as text.
package enum ByteAlphabet {
    /// The code point of each byte; 256 entries.
    package static let scalars: [UInt32] = {
        var table = [UInt32](repeating: 0, count: 256)
        var spare: UInt32 = 0x100
        for byte in 0..<256 {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: table[byte] = UInt32(byte)
            default:
                table[byte] = spare
                spare += 1
            }
        }
        return table
    }()

    /// The byte of each code point; -1 if the character is not in the alphabet. 324 entries.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
        return table
    }()

    /// The byte that a code point represents; nil if it is not in the alphabet.
    static func byte(_ scalar: UInt32) -> UInt8? {
        guard scalar < 0x144, bytes[Int(scalar)] >= 0 else { return nil }
        return UInt8(bytes[Int(scalar)])
    }

    /// Appends the bytes that alphabet text represents; returns false and appends nothing if a character is not in the
    /// alphabet.
    static func decode(_ text: some Collection<UInt8>, into result: inout [UInt8]) -> Bool {
        let start = result.count
        var high: UInt32 = 0
        for byte in text {
            // The alphabet ends at U+0143, so each character has one or two bytes of UTF-8.
            if byte < 0x80, high == 0, let value = self.byte(UInt32(byte)) {
                result.append(value)
            } else if byte >= 0xC2, byte <= 0xC5, high == 0 {
                high = UInt32(byte)
            } else if byte & 0xC0 == 0x80, high != 0, let value = self.byte((high & 0x1F) << 6 | UInt32(byte & 0x3F)) {
                result.append(value)
                high = 0
            } else {
                result.removeSubrange(start...)
                return false
            }
        }
        guard high == 0 else {
            result.removeSubrange(start...)
            return false
        }
        return true
    }
}
