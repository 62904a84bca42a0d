/// Encodes H.264 with two fields per frame (PAFF), which no free encoder can: 16×32, one gray level per frame.
public enum FieldCodedH264 {
    /// An Annex B byte stream of frames with the gray levels `luma[i]`, 1 to 254.
    ///
    /// - Parameter whole: true for a frame to be coded as one picture instead of two fields.
    public static func bytes(luma: [UInt8], whole: (Int) -> Bool = { _ in false }) -> [UInt8] {
        var stream: [UInt8] = []
        for (number, gray) in luma.enumerated() {
            if number % 25 == 0 { stream += unit(0x67, sequence) + unit(0x68, picture) }
            if whole(number) {
                stream += unit(0x65, slice(.frame, isKey: true, number, gray))
            } else {
                stream += unit(0x65, slice(.top, isKey: true, number, gray))
                stream += unit(0x61, slice(.bottom, isKey: false, number, gray))
            }
        }
        return stream
    }

    private enum Structure { case frame, top, bottom }

    private static var sequence: Bits {
        var bits = Bits()
        bits.put(77, 8)  // main profile
        bits.put(0, 8)
        bits.put(10, 8)
        // Identifier, bits of frame_num, picture order count type 2, one reference, no gaps, 1×1 macroblocks per field.
        for value in [0, 0, 2, 1] { bits.exp(value) }
        bits.put(0, 1)
        bits.exp(0)
        bits.exp(0)
        bits.put(0b00100, 5)  // fields allowed, direct_8x8_inference, neither cropping nor VUI
        return bits
    }

    private static var picture: Bits {
        var bits = Bits()
        bits.exp(0)
        bits.exp(0)
        bits.put(0, 2)
        for _ in 0..<3 { bits.exp(0) }
        bits.put(0, 3)
        for _ in 0..<3 { bits.exp(0) }
        bits.put(0b100, 3)  // deblocking is set per slice
        return bits
    }

    private static func slice(_ structure: Structure, isKey: Bool, _ number: Int, _ gray: UInt8) -> Bits {
        var bits = Bits()
        for value in [0, 7, 0] { bits.exp(value) }
        bits.put(0, 4)
        bits.put(structure == .frame ? 0 : 1, 1)
        if structure != .frame { bits.put(structure == .top ? 0 : 1, 1) }
        if isKey { bits.exp(number % 2) }
        bits.put(0, isKey ? 2 : 1)
        bits.exp(0)
        bits.exp(1)
        for _ in 0..<(structure == .frame ? 2 : 1) {
            bits.exp(25)  // I_PCM
            bits.align()
            bits.bytes += [UInt8](repeating: gray, count: 256) + [UInt8](repeating: 128, count: 128)
        }
        return bits
    }

    private static func unit(_ header: UInt8, _ content: Bits) -> [UInt8] {
        var content = content
        content.put(1, 1)
        content.align()
        var unit: [UInt8] = [0, 0, 0, 1, header]
        var zeros = 0
        for byte in content.bytes {
            if zeros == 2, byte <= 3 {
                unit.append(3)
                zeros = 0
            }
            unit.append(byte)
            zeros = byte == 0 ? zeros + 1 : 0
        }
        return unit
    }

    private struct Bits {
        var bytes: [UInt8] = []
        private var free = 0

        mutating func put(_ value: Int, _ count: Int) {
            for bit in (0..<count).reversed() {
                if free == 0 {
                    bytes.append(0)
                    free = 8
                }
                free -= 1
                bytes[bytes.count - 1] |= UInt8(value >> bit & 1) << UInt8(free)
            }
        }

        /// Appends an Exp-Golomb code, ue(v).
        mutating func exp(_ value: Int) {
            let length = (value + 1).bitWidth - (value + 1).leadingZeroBitCount
            put(0, length - 1)
            put(value + 1, length)
        }

        mutating func align() { free = 0 }
    }
}
