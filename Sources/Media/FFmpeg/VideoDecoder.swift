import CFFmpeg

/// Owns an AVCodecContext for one video stream.
struct VideoDecoder: ~Copyable {
    let context: UnsafeMutablePointer<AVCodecContext>

    init(_ stream: UnsafeMutablePointer<AVStream>, threads: Int, maxPixels: Int) throws {
        context = try Self.open(stream, threads: threads, maxPixels: maxPixels)
    }

    /// True if there is a decoder for this codec and it is on the whitelist.
    static func knows(_ codec: AVCodecID) -> Bool {
        guard let decoder = avcodec_find_decoder(codec) else { return false }
        return Demuxer.codecs.split(separator: ",").contains { $0 == String(cString: decoder.pointee.name) }
    }

    private static func open(
        _ stream: UnsafeMutablePointer<AVStream>, threads: Int, maxPixels: Int
    ) throws -> UnsafeMutablePointer<AVCodecContext> {
        guard let parameters = stream.pointee.codecpar else { throw MediaError.library("the stream has no parameters") }
        let name = String(cString: avcodec_get_name(parameters.pointee.codec_id))
        guard knows(parameters.pointee.codec_id), let codec = avcodec_find_decoder(parameters.pointee.codec_id) else {
            throw MediaError.unsupportedCodec(name)
        }
        guard let context = avcodec_alloc_context3(codec) else { throw MediaError.library("out of memory") }
        var failed = true
        defer {
            var closing: UnsafeMutablePointer<AVCodecContext>? = failed ? context : nil
            avcodec_free_context(&closing)
        }
        guard avcodec_parameters_to_context(context, parameters) >= 0 else {
            throw MediaError.damagedHeader("stream's", "its parameters for \(name) are invalid")
        }
        context.pointee.pkt_timebase = stream.pointee.time_base
        context.pointee.thread_count = Int32(clamping: max(1, min(threads, 16, Self.mostThreads(parameters))))
        context.pointee.max_pixels = Int64(maxPixels)
        var options: OpaquePointer?
        av_dict_set(&options, "codec_whitelist", Demuxer.codecs, 0)
        defer { av_dict_free(&options) }
        let status = avcodec_open2(context, codec, &options)
        guard status >= 0 else {
            throw MediaError.damagedHeader(
                "stream's", "the \(name) decoder rejects its configuration: \(Demuxer.text(status))")
        }
        failed = false
        return context
    }

    /// The threads that a stream's frames leave room for: each decodes one of its own, and together they may take half a
    /// gigabyte.
    static func mostThreads(_ parameters: UnsafeMutablePointer<AVCodecParameters>) -> Int {
        // With several threads libavcodec's VP8 decoder gives other frames from damaged data, and reports no error.
        if parameters.pointee.codec_id == AV_CODEC_ID_VP8 { return 1 }
        // 4:2:0 in 16 bits takes 3 bytes per pixel.
        let bytes = 3 * max(1, Int(parameters.pointee.width)) * max(1, Int(parameters.pointee.height))
        return max(1, (512 << 20) / bytes)
    }

    deinit {
        var closing: UnsafeMutablePointer<AVCodecContext>? = context
        avcodec_free_context(&closing)
    }

    enum Outcome { case frame, needsInput, ended, failed }

    /// Sends a packet to the decoder; returns FFmpeg's status code.
    func send(_ packet: borrowing Packet) -> Int32 { avcodec_send_packet(context, packet.pointer) }
    /// Ends the stream; frames still in the decoder follow.
    func sendEnd() -> Int32 { avcodec_send_packet(context, nil) }

    /// Forgets all earlier packets.
    func flush() { avcodec_flush_buffers(context) }

    func receive(into frame: borrowing DecodedFrame) -> Outcome {
        let status = avcodec_receive_frame(context, frame.pointer)
        if status == 0 { return .frame }
        if status == AVERROR(EAGAIN) { return .needsInput }
        return status == AVERROR_EOF ? .ended : .failed
    }
}
