import CFFmpeg

/// The packets sent to the decoder: the furthest one, and those for which it returned no frame.
///
/// A decoder that gets another codec's data, or data without the headers it needs, may accept it without an error.
struct PacketLog {
    /// One entry per packet that has a file position: that position, the packet count with those after it that have
    /// none, and their bytes.
    private var waiting: [(position: Int64, packets: Int, bytes: Int)] = []
    private var packets = 0
    private var bytes = 0
    /// Packets and bytes left over at the end of earlier pieces.
    private var left = (packets: 0, bytes: 0)
    /// True as long as no frame had a packet position.
    private var isUnknown = true
    /// File position of the furthest packet since the last `restart`.
    private(set) var lastPosition: Int64 = 0

    /// Maximum number of entries; decoders hold back fewer frames than that, and a queue fewer packets.
    private static let maxWaiting = 1024

    mutating func add(_ packet: borrowing Packet) {
        let (position, size) = (packet.pointer.pointee.pos, Int(packet.pointer.pointee.size))
        lastPosition = max(lastPosition, position)
        packets += 1
        bytes += size
        if position >= 0, waiting.count < Self.maxWaiting || waiting.isEmpty {
            waiting.append((position, 1, size))
        } else if let last = waiting.indices.last {
            waiting[last].position = max(waiting[last].position, position)
            waiting[last].packets += 1
            waiting[last].bytes += size
        }
    }

    /// Counts a packet that is not sent to the decoder.
    mutating func skip(_ packet: borrowing Packet) {
        lastPosition = max(lastPosition, packet.pointer.pointee.pos)
        packets += 1
        bytes += Int(packet.pointer.pointee.size)
    }

    /// Removes a returned frame's packet and those before it.
    mutating func remove(_ frame: borrowing DecodedFrame) {
        let position = frame.pointer.pointee.pkt_pos
        guard position >= 0 else { return }
        isUnknown = false
        guard let index = waiting.firstIndex(where: { $0.position == position }) else { return }
        waiting.removeFirst(index + 1)
    }

    /// Ends a piece: the packets that follow are elsewhere in the file.
    mutating func endPiece() {
        left.packets += waiting.reduce(0) { $0 + $1.packets }
        left.bytes += waiting.reduce(0) { $0 + $1.bytes }
        waiting = []
    }

    /// Starts over in a reader whose positions start at 0.
    mutating func restart() { lastPosition = 0 }

    /// Reports the packets without frames, unless they are only a few at the end, as in a recording that was cut off.
    mutating func describe(in result: inout DecodeResult) {
        endPiece()
        guard !isUnknown, left.packets > 0,
            left.bytes >= max(1, bytes / 20) || left.packets >= max(50, packets / 100)
        else { return }
        result.status = .partial
        result.note(
            "undecoded",
            "the last \(left.packets) packets of the video (\(left.bytes) of \(bytes) bytes) gave no frame: they are "
                + "damaged, or of another codec than those before")
    }
}
