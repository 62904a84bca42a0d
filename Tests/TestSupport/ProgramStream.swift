/// Rewrites the time stamps of an MPEG-2 program stream, as damaged recorders do.
public enum ProgramStream {
    /// Changes the presentation time of each video PES packet.
    ///
    /// Its decoding time and the system clock of the packs before it are shifted by the same amount.
    /// - Parameter change: gets the frame's number in file order and its time in ticks of 90 kHz; returns the new time.
    public static func retime(_ bytes: [UInt8], _ change: (Int, Int64) -> Int64) -> [UInt8] {
        var bytes = bytes
        var number = 0
        var (packs, shift): ([Int], Int64) = ([], 0)
        for at in 0..<max(0, bytes.count - 20)
        where bytes[at] == 0 && bytes[at + 1] == 0 && bytes[at + 2] == 1 {
            if bytes[at + 3] == 0xBA { packs.append(at + 4) }
            guard bytes[at + 3] & 0xF0 == 0xE0 else { continue }
            let flags = bytes[at + 7] >> 6
            if bytes[at + 6] >> 6 == 2, flags >= 2 {
                let old = TransportStream.time(bytes, at + 9)
                let new = change(number, old)
                (number, shift) = (number + 1, new - old)
                TransportStream.put(&bytes, at + 9, new, mark: flags)
                if flags == 3 {
                    TransportStream.put(&bytes, at + 14, TransportStream.time(bytes, at + 14) + shift, mark: 1)
                }
            }
            for pack in packs where bytes[pack] >> 6 == 1 { setClock(&bytes, pack, by: shift) }
            packs = []
        }
        return bytes
    }

    /// Shifts a pack header's clock (ISO/IEC 13818-1, 2.5.3.3): 33 bits with marker bits between them.
    private static func setClock(_ bytes: inout [UInt8], _ at: Int, by shift: Int64) {
        let b = bytes[at..<at + 5].map { Int64($0) }
        let high = (b[0] >> 3 & 7) << 30 | (b[0] & 3) << 28 | b[1] << 20
        let clock = high | (b[2] >> 3) << 15 | (b[2] & 3) << 13 | b[3] << 5 | b[4] >> 3
        let new = UInt64(bitPattern: clock + shift) & ((1 << 33) - 1)
        bytes[at] = 0x44 | UInt8(new >> 30 & 7) << 3 | UInt8(new >> 28 & 3)
        bytes[at + 1] = UInt8(new >> 20 & 255)
        bytes[at + 2] = UInt8(new >> 15 & 31) << 3 | 4 | UInt8(new >> 13 & 3)
        bytes[at + 3] = UInt8(new >> 5 & 255)
        bytes[at + 4] = UInt8(new & 31) << 3 | bytes[at + 4] & 7
    }
}
