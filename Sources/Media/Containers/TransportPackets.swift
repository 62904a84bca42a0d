/// The packets of part of an MPEG transport stream, for what libavformat does not report: the program clock and the
/// continuity counters.
struct TransportPackets {
    private let packets: [TransportPacket]

    /// Reads from the file position `from` up to `to`, at most 4 MiB.
    init(_ reader: FileReader, from: Int64, to: Int64) {
        let bytes = reader.bytes(at: from, count: Int(clamping: min(max(0, to - from), 4 << 20)))
        let length = TransportPacket.length
        for stride in TransportPacket.strides {
            let first = (0..<min(stride, bytes.count)).first { offset in
                offset + length <= bytes.count
                    && TransportPacket.areAligned(bytes, at: offset, stride: stride, count: 8)
            }
            guard let first else { continue }
            packets = Swift.stride(from: first, through: bytes.count - length, by: stride).compactMap { offset in
                bytes[offset] == TransportPacket.syncByte ? TransportPacket(bytes[offset..<offset + length]) : nil
            }
            return
        }
        packets = []
    }

    /// The program clock references of a PID in units of 1/90000 s, in file order.
    func clockReferences(pid: Int) -> [Int64] { packets.filter { $0.pid == pid }.compactMap(\.clockReference) }

    /// True if the multiplexer restarted.
    ///
    /// Then the program table and the stream count their packets from 0, although the stream's counter was not due to
    /// wrap.
    func multiplexerRestarts(pid: Int) -> Bool {
        var tableRestarted = false
        var last: UInt8?
        for packet in packets {
            let counter = packet.continuityCounter
            if packet.pid == 0 { tableRestarted = counter == 0 }
            guard packet.pid == pid, packet.hasPayload else { continue }
            if let last, tableRestarted, counter == 0, last != 15 { return true }
            last = counter
        }
        return false
    }
}
