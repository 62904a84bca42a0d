/// Rewrites the time stamps of an MPEG transport stream, as damaged recorders do.
public enum TransportStream {
    private static let packetBytes = 188

    /// Changes the presentation time of each PES packet of one PID; its decoding time is shifted by the same amount.
    ///
    /// - Parameters:
    ///   - pid: the packet identifier; ffmpeg gives its first stream, usually the video, 0x100.
    ///   - change: gets the frame's number in file order and its time in ticks of 90 kHz; returns the new time.
    public static func retime(_ bytes: [UInt8], pid: Int = 0x100, _ change: (Int, Int64) -> Int64) -> [UInt8] {
        var bytes = bytes
        var number = 0
        for packet in stride(from: 0, through: bytes.count - packetBytes, by: packetBytes) {
            let found = Int(bytes[packet + 1] & 31) << 8 | Int(bytes[packet + 2])
            guard found == pid, bytes[packet + 1] & 64 != 0 else { continue }
            let pes = packet + 4 + (bytes[packet + 3] & 32 != 0 ? 1 + Int(bytes[packet + 4]) : 0)
            guard pes + 19 <= packet + packetBytes, bytes[pes] == 0, bytes[pes + 1] == 0, bytes[pes + 2] == 1 else {
                continue
            }
            let flags = bytes[pes + 7] >> 6
            guard flags >= 2 else { continue }
            let old = time(bytes, pes + 9)
            let new = change(number, old)
            number += 1
            put(&bytes, pes + 9, new, mark: flags)
            if flags == 3 { put(&bytes, pes + 14, time(bytes, pes + 14) + new - old, mark: 1) }
        }
        return bytes
    }

    static func time(_ bytes: [UInt8], _ at: Int) -> Int64 {
        Int64(bytes[at] >> 1 & 7) << 30 | Int64(bytes[at + 1]) << 22 | Int64(bytes[at + 2] >> 1) << 15
            | Int64(bytes[at + 3]) << 7 | Int64(bytes[at + 4] >> 1)
    }

    static func put(_ bytes: inout [UInt8], _ at: Int, _ time: Int64, mark: UInt8) {
        let time = UInt64(bitPattern: time) & ((1 << 33) - 1)
        bytes[at] = mark << 4 | UInt8(truncatingIfNeeded: time >> 29 & 14) | 1
        bytes[at + 1] = UInt8(truncatingIfNeeded: time >> 22)
        bytes[at + 2] = UInt8(truncatingIfNeeded: time >> 14) & 254 | 1
        bytes[at + 3] = UInt8(truncatingIfNeeded: time >> 7)
        bytes[at + 4] = UInt8(truncatingIfNeeded: time << 1) & 254 | 1
    }
}
