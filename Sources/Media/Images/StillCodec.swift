import CFFmpeg

/// Owns an AVCodecContext for single images.
struct StillCodecContext: ~Copyable {
    let raw: UnsafeMutablePointer<AVCodecContext>

    /// Throws `picture_too_large` if memory runs out.
    init(_ codec: UnsafePointer<AVCodec>) throws {
        guard let context = avcodec_alloc_context3(codec) else { throw ImageError.outOfMemory("an image's codec") }
        raw = context
        raw.pointee.thread_count = 1
    }

    /// Opens the codec; set its options first.
    ///
    /// `fault` makes the error from the library's reason.
    func open(_ codec: UnsafePointer<AVCodec>, fault: (String) -> ImageError) throws {
        let status = avcodec_open2(raw, codec, nil)
        guard status >= 0 else { throw fault(StillCodec.reason(status)) }
    }

    /// The bytes of one encoded frame.
    ///
    /// Throws `picture_not_encoded`.
    func encode(_ frame: borrowing StillFrame) throws -> [UInt8] {
        let packet = try StillPacket()
        var status = avcodec_send_frame(raw, frame.raw)
        if status >= 0 { status = avcodec_send_frame(raw, nil) }
        if status >= 0 { status = avcodec_receive_packet(raw, packet.raw) }
        guard status >= 0 else { throw ImageError.notEncoded(StillCodec.reason(status)) }
        return packet.bytes
    }

    deinit {
        var context: UnsafeMutablePointer<AVCodecContext>? = raw
        avcodec_free_context(&context)
    }
}

/// Owns an AVFrame.
struct StillFrame: ~Copyable {
    let raw: UnsafeMutablePointer<AVFrame>

    init() throws {
        guard let frame = av_frame_alloc() else { throw ImageError.outOfMemory("an image") }
        raw = frame
    }

    /// A frame with a buffer for `width` x `height` pixels.
    static func holding(width: Int32, height: Int32, format: AVPixelFormat) throws -> StillFrame {
        let frame = try StillFrame()
        frame.raw.pointee.width = width
        frame.raw.pointee.height = height
        frame.raw.pointee.format = format.rawValue
        guard av_frame_get_buffer(frame.raw, 0) >= 0 else {
            throw ImageError.outOfMemory("\(width) x \(height) pixels")
        }
        return frame
    }

    /// A frame with an image's pixels, in 8-bit RGB.
    static func holding(_ image: RGBImage) throws -> StillFrame {
        guard let width = Int32(exactly: image.width), let height = Int32(exactly: image.height) else {
            throw ImageError.notEncoded("its size is too large")
        }
        let frame = try holding(width: width, height: height, format: AV_PIX_FMT_RGB24)
        guard let plane = frame.plane else { throw ImageError.outOfMemory("an image") }
        let (rowBytes, stride) = (image.width * 3, frame.stride)
        image.pixels.withUnsafeBufferPointer { pixels in
            guard let base = pixels.baseAddress else { return }
            for row in 0..<image.height {
                (plane + row * stride).update(from: base + row * rowBytes, count: rowBytes)
            }
        }
        return frame
    }

    var width: Int { Int(raw.pointee.width) }
    var height: Int { Int(raw.pointee.height) }
    var format: AVPixelFormat { AVPixelFormat(raw.pointee.format) }
    /// The first plane, with rows `stride` bytes apart.
    var plane: UnsafeMutablePointer<UInt8>? { raw.pointee.data.0 }
    var stride: Int { Int(raw.pointee.linesize.0) }

    deinit {
        var frame: UnsafeMutablePointer<AVFrame>? = raw
        av_frame_free(&frame)
    }
}

/// Owns an AVPacket.
struct StillPacket: ~Copyable {
    let raw: UnsafeMutablePointer<AVPacket>

    init() throws {
        guard let packet = av_packet_alloc() else { throw ImageError.outOfMemory("an image's bytes") }
        raw = packet
    }

    /// A copy of `bytes`, followed by the zero padding that libavcodec reads past the end.
    static func copying(_ bytes: [UInt8]) throws -> StillPacket {
        let packet = try StillPacket()
        guard let count = Int32(exactly: bytes.count), av_new_packet(packet.raw, count) >= 0,
            let data = packet.raw.pointee.data
        else { throw ImageError.outOfMemory("an image of \(bytes.count) bytes") }
        bytes.withUnsafeBufferPointer { source in
            if let base = source.baseAddress { data.update(from: base, count: source.count) }
        }
        return packet
    }

    var bytes: [UInt8] { [UInt8](UnsafeBufferPointer(start: raw.pointee.data, count: Int(raw.pointee.size))) }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = raw
        av_packet_free(&packet)
    }
}

enum StillCodec {
    /// libavutil's text for a status.
    static func reason(_ status: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            guard let base = buffer.baseAddress, av_strerror(status, base, buffer.count) >= 0 else {
                return "error \(status)"
            }
            return String(cString: base)
        }
    }
}
