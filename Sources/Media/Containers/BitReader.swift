/// Reads bits and Exp-Golomb codes of a NAL unit, without its emulation prevention bytes.
///
/// Source: ITU-T H.264, 7.3.1 and 9.1. Reading past the end gives zeros and sets `isExhausted`.
struct BitReader {
    private let bytes: [UInt8]
    private var position = 0
    private(set) var isExhausted = false

    /// - Parameter bytes: the unit after its header.
    init(_ bytes: some Sequence<UInt8>) {
        var plain: [UInt8] = []
        var zeros = 0
        for byte in bytes {
            if zeros >= 2, byte == 3 {
                zeros = 0
                continue
            }
            zeros = byte == 0 ? zeros + 1 : 0
            plain.append(byte)
        }
        self.bytes = plain
    }

    mutating func bit() -> Bool {
        guard position < bytes.count * 8 else {
            isExhausted = true
            return false
        }
        defer { position += 1 }
        return bytes[position / 8] >> UInt8(7 - position % 8) & 1 != 0
    }

    mutating func bits(_ count: Int) -> Int { (0..<count).reduce(0) { value, _ in value << 1 | (bit() ? 1 : 0) } }

    mutating func skip(_ count: Int) { for _ in 0..<count { _ = bit() } }

    /// ue(v); codes of more than 32 bits exhaust the reader.
    mutating func unsigned() -> Int {
        var zeros = 0
        while !bit() {
            zeros += 1
            guard zeros <= 32, !isExhausted else {
                isExhausted = true
                return 0
            }
        }
        return (1 << zeros) - 1 + bits(zeros)
    }

    /// se(v).
    mutating func signed() -> Int {
        let code = unsigned()
        return code % 2 == 0 ? -(code / 2) : (code + 1) / 2
    }
}
