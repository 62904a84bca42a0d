import CFFmpeg
import Glibc

/// Owns an AVFormatContext that writes a container into an open file.
struct Muxer: ~Copyable {
    let context: UnsafeMutablePointer<AVFormatContext>
    private let io: UnsafeMutablePointer<AVIOContext>

    /// A container without streams; `file` must outlive the muxer.
    init(_ container: ClipResult.Container, _ file: OutputFile) throws {
        var made: UnsafeMutablePointer<AVFormatContext>?
        guard avformat_alloc_output_context2(&made, nil, container.rawValue, nil) >= 0, let made else {
            throw MediaError.library("it cannot write \(container.rawValue)")
        }
        let size = 64 << 10
        guard let buffer = av_malloc(size),
            let io = avio_alloc_context(
                buffer.assumingMemoryBound(to: UInt8.self), Int32(size), 1, Unmanaged.passUnretained(file).toOpaque(),
                nil,
                { opaque, buffer, count in
                    guard let opaque else { return AVERROR(EINVAL) }
                    return Unmanaged<OutputFile>.fromOpaque(opaque).takeUnretainedValue().write(buffer, count)
                },
                { opaque, offset, whence in
                    guard let opaque else { return Int64(AVERROR(EINVAL)) }
                    return Unmanaged<OutputFile>.fromOpaque(opaque).takeUnretainedValue().seek(offset, whence)
                })
        else {
            avformat_free_context(made)
            throw MediaError.library("out of memory")
        }
        made.pointee.pb = io
        // No version and no random identifier: the same clip has the same bytes.
        made.pointee.flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT
        made.pointee.io_open = { _, _, _, _, _ in AVERROR(EPERM) }
        context = made
        self.io = io
    }

    deinit {
        avformat_free_context(context)
        av_free(io.pointee.buffer)
        var closing: UnsafeMutablePointer<AVIOContext>? = io
        avio_context_free(&closing)
    }

    /// True if the container can hold a codec.
    static func holds(_ codec: AVCodecID, in container: ClipResult.Container) -> Bool {
        guard let format = av_guess_format(container.rawValue, nil, nil) else { return false }
        return avformat_query_codec(format, codec, FF_COMPLIANCE_NORMAL) == 1
    }

    /// Adds a stream with the parameters of `source`.
    func addStream(like source: UnsafeMutablePointer<AVStream>) throws {
        guard let stream = avformat_new_stream(context, nil), let parameters = stream.pointee.codecpar,
            avcodec_parameters_copy(parameters, source.pointee.codecpar) >= 0
        else {
            throw MediaError.library("out of memory")
        }
        // The tag is kept where it means the same codec in this container: hvc1 and hev1 are not played alike.
        let tag = parameters.pointee.codec_tag
        if av_codec_get_id(context.pointee.oformat?.pointee.codec_tag, tag) != parameters.pointee.codec_id {
            parameters.pointee.codec_tag = 0
        }
        stream.pointee.time_base = source.pointee.time_base
        stream.pointee.avg_frame_rate = source.pointee.avg_frame_rate
        stream.pointee.r_frame_rate = source.pointee.r_frame_rate
        stream.pointee.sample_aspect_ratio = source.pointee.sample_aspect_ratio
        stream.pointee.disposition = source.pointee.disposition
        if let language = av_dict_get(source.pointee.metadata, "language", nil, 0) {
            av_dict_set(&stream.pointee.metadata, "language", language.pointee.value, 0)
        }
        var size = 0
        if let matrix = av_stream_get_side_data(source, AV_PKT_DATA_DISPLAYMATRIX, &size), size > 0,
            let copy = av_stream_new_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, size)
        {
            memcpy(copy, matrix, size)
        }
    }

    /// Writes the header; returns a status.
    ///
    /// - Parameter creation: RFC 3339; nil writes none.
    func begin(creation: String?) -> Int32 {
        if let creation { av_dict_set(&context.pointee.metadata, "creation_time", creation, 0) }
        return avformat_write_header(context, nil)
    }

    /// Writes a packet of the stream `index` and empties it; returns a status.
    func write(_ packet: borrowing Packet, stream index: Int, timeBase: AVRational) -> Int32 {
        guard let stream = context.pointee.streams?[index] else { return AVERROR(EINVAL) }
        packet.pointer.pointee.stream_index = Int32(index)
        packet.pointer.pointee.pos = -1
        av_packet_rescale_ts(packet.pointer, timeBase, stream.pointee.time_base)
        return av_interleaved_write_frame(context, packet.pointer)
    }

    /// Writes what is left, and the container's index; returns a status.
    func finish() -> Int32 {
        let status = av_write_trailer(context)
        avio_flush(io)
        return status
    }
}
