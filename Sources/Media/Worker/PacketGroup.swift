import CFFmpeg

/// The packets from one entry of the stream up to the next, and the frames that came of them.
final class PacketGroup: @unchecked Sendable {
    // @unchecked: packets and needs do not change; the rest is accessed under the condition of `GroupDecoders`.
    let packets: [QueuedPacket]
    /// What each packet is decoded for.
    let needs: [PacketQueue.Need]
    /// Frames that wait to be presented, in order of presentation.
    var frames: [HeldFrame] = []
    /// True once its thread no longer touches it.
    var isDone = false
    /// True if a packet could not be decoded.
    var hasFailed = false

    init(_ packets: [QueuedPacket], _ needs: [PacketQueue.Need]) {
        self.packets = packets
        self.needs = needs
    }

    var startsWithEntry: Bool { packets.first?.role == .entry }
    var packetBytes: Int { packets.reduce(0) { $0 + $1.size } }
    /// Number of frames whose pixels are kept.
    var wantedFrames: Int { needs.count { $0 == .frame } }
    /// Timestamps of the frames whose pixels are kept.
    var wantedTimes: Set<Int64> {
        Set(zip(packets, needs).lazy.filter { $0.1 == .frame }.map { $0.0.pts })
    }
}
