import CFFmpeg

// Sampling of key frames only.
extension DecodeSession {
    /// Decodes a packet by itself if it is marked as a key frame.
    func takeKeyFrame(_ decoding: borrowing Decoding) throws {
        try count(decoding.packet)
        let packet = decoding.packet.pointer.pointee
        guard packet.flags & Int32(AV_PKT_FLAG_KEY) != 0 else {
            packets.skip(decoding.packet)
            if packet.pts != AV_NOPTS_VALUE {
                timeline.extend(
                    to: packet.pts, for: timing.seconds(packet.duration > 0 ? packet.duration : timing.frameDuration))
            }
            return try sendHeartbeat()
        }
        try decodePacket(decoding, decoding.packet)
        // Without the frames between, the decoder would take the next key frame for a gap.
        guard !isStopped else { return }
        _ = decoding.decoder.sendEnd()
        try receiveFrames(decoding)
        decoding.decoder.flush()
    }
}
