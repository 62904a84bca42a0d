import CFFmpeg

/// A packet that waits until it is known whether it is needed.
final class QueuedPacket {
    let packet: Packet
    fileprivate(set) var role = CodedFrame.reference

    fileprivate init() throws { packet = try Packet() }

    var pts: Int64 { packet.pointer.pointee.pts }
    var duration: Int64 { packet.pointer.pointee.duration }
    /// False for a frame that an edit list hides: it is decoded only for those after it.
    var isShown: Bool { packet.pointer.pointee.flags & Int32(AV_PKT_FLAG_DISCARD) == 0 }
    var size: Int { Int(packet.pointer.pointee.size) }
}

/// The packets from one entry of the stream up to the next, in decoding order.
///
/// Nothing before an entry is needed for the frames from it on, and all of those are shown later.
struct PacketQueue {
    /// At most so many packets and bytes wait; longer intervals are decided in parts.
    private static let maxPackets = 600
    private static let maxBytes = 64 << 20

    /// What a packet is decoded for.
    enum Need {
        case nothing
        /// Other frames depend on it.
        case reference
        /// Its frame may be sampled.
        case frame
    }

    private(set) var packets: [QueuedPacket] = []
    private var bytes = 0
    private var spare: [QueuedPacket] = []

    var isFull: Bool { packets.count >= Self.maxPackets || bytes >= Self.maxBytes }

    /// Takes a packet's content; `packet` is empty afterwards.
    mutating func add(_ packet: borrowing Packet, _ role: CodedFrame) throws {
        let queued = try spare.popLast() ?? QueuedPacket()
        av_packet_move_ref(queued.packet.pointer, packet.pointer)
        bytes += queued.size
        queued.role = role
        packets.append(queued)
    }

    /// Empties the queue and returns what it held; give it back with `reuse`.
    mutating func takeAll() -> [QueuedPacket] {
        defer { (packets, bytes) = ([], 0) }
        return packets
    }

    mutating func reuse(_ packets: [QueuedPacket]) {
        for queued in packets { av_packet_unref(queued.packet.pointer) }
        spare += packets.prefix(max(0, Self.maxPackets - spare.count))
    }

    /// What each packet must be decoded for.
    ///
    /// - Parameters:
    ///   - next: timestamp of the entry that follows the queue; nil if there is none or it has not been read.
    ///   - isWanted: whether a frame that is shown from one timestamp until another is sampled.
    ///
    /// A frame without a successor counts as wanted.
    static func needs(
        _ packets: [QueuedPacket], next: Int64?, isWanted: (_ from: Int64, _ until: Int64) -> Bool
    ) -> [Need] {
        let order = packets.indices.filter { packets[$0].isShown }.sorted { packets[$0].pts < packets[$1].pts }
        var needs = [Need](repeating: .nothing, count: packets.count)
        for (place, index) in order.enumerated() {
            let until = place + 1 < order.count ? packets[order[place + 1]].pts : next
            if until.map({ isWanted(packets[index].pts, $0) }) ?? true { needs[index] = .frame }
        }
        // Other frames of this interval may depend on any frame before them that is not disposable.
        var isNeededLater = next == nil
        for index in packets.indices.reversed() {
            if packets[index].role != .disposable, isNeededLater, needs[index] == .nothing {
                needs[index] = .reference
            }
            // A key frame of an intra codec needs nothing before it.
            if needs[index] != .nothing { isNeededLater = packets[index].role != .entry }
        }
        return needs
    }
}
