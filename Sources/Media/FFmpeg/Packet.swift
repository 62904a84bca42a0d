import CFFmpeg

/// Owns an AVPacket.
struct Packet: ~Copyable {
    let pointer: UnsafeMutablePointer<AVPacket>

    init() throws {
        guard let pointer = av_packet_alloc() else { throw MediaError.library("out of memory") }
        self.pointer = pointer
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = pointer
        av_packet_free(&packet)
    }

    /// True if the packet is a header within a chained Ogg stream instead of a frame.
    ///
    /// Source: Theora specification, 6.1.
    func isHeader(of codec: AVCodecID) -> Bool {
        guard codec == AV_CODEC_ID_THEORA, pointer.pointee.size > 0, let data = pointer.pointee.data else {
            return false
        }
        return data[0] & 0x80 != 0
    }

    var isKey: Bool { pointer.pointee.flags & Int32(AV_PKT_FLAG_KEY) != 0 }

    var isEncrypted: Bool { av_packet_get_side_data(pointer, AV_PKT_DATA_ENCRYPTION_INFO, nil) != nil }
}
