/// Packets of an MPEG transport stream, for what libavformat does not report: the program clock and the continuity
/// counters.
///
/// Source: ISO/IEC 13818-1, 2.4.3.
struct TransportPackets {
    private let bytes: [UInt8]
    private var starts: [Int] = []

    init(_ reader: FileReader, from: Int64, to: Int64) {
        bytes = reader.bytes(at: from, count: Int(clamping: min(max(0, to - from), 4 << 20)))
        // Packets are 188 bytes, optionally with a 4-byte timestamp before each (M2TS) or a 16-byte checksum after it.
        for stride in [188, 192, 204] {
            guard let first = (0..<min(stride, bytes.count)).first(where: { isSync($0, stride) }) else { continue }
            starts = Array(Swift.stride(from: first, through: bytes.count - 188, by: stride))
            break
        }
    }

    private func isSync(_ offset: Int, _ stride: Int) -> Bool {
        guard offset + 188 <= bytes.count else { return false }
        return Swift.stride(from: offset, to: min(bytes.count, offset + 8 * stride), by: stride).allSatisfy {
            bytes[$0] == 0x47
        }
    }

    private func pid(_ start: Int) -> Int { Int(bytes[start + 1] & 31) << 8 | Int(bytes[start + 2]) }

    /// The program clock references in ticks of 90 kHz, in file order.
    func clocks(pid wanted: Int) -> [Int64] {
        starts.compactMap { start in
            guard bytes[start] == 0x47, pid(start) == wanted, bytes[start + 3] & 32 != 0, bytes[start + 4] >= 7,
                bytes[start + 5] & 16 != 0
            else { return nil }
            let field = bytes[(start + 6)..<(start + 11)].reduce(Int64(0)) { $0 << 8 | Int64($1) }
            return field >> 7
        }
    }

    /// True if the multiplexer restarted.
    ///
    /// Then the program table and the stream count their packets from 0, although the stream's counter was not due to
    /// wrap.
    func startsOver(pid wanted: Int) -> Bool {
        var table = false
        var counter: UInt8?
        for start in starts where bytes[start] == 0x47 {
            let now = bytes[start + 3] & 15
            if pid(start) == 0 { table = now == 0 }
            guard pid(start) == wanted, bytes[start + 3] & 16 != 0 else { continue }
            if let counter, table, now == 0, counter != 15 { return true }
            counter = now
        }
        return false
    }
}
