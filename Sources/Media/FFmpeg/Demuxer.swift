import CFFmpeg
import Glibc

/// Owns an AVFormatContext opened on a descriptor, with every feature disabled that could open other files or
/// connections.
struct Demuxer: ~Copyable {
    let context: UnsafeMutablePointer<AVFormatContext>
    private let io: IOContext

    // Full names of the demuxers: av_match_list compares them with each name of a demuxer.
    static let formats = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,avi,flv,asf,ogg,mxf"
    static let codecs =
        "h264,hevc,av1,libdav1d,libaom-av1,vp8,vp9,mpeg4,mpeg2video,mpeg1video,mjpeg,prores,dnxhd,vc1,wmv3,theora,msmpeg4,msmpeg4v2,h263,flv,ffv1,rawvideo,huffyuv,utvideo,dvvideo"

    /// Opens the container and reads its headers.
    ///
    /// - Parameters:
    ///   - probes: whether to read packets for what the headers do not say.
    ///   - codecs: the decoders that may be used for that.
    ///
    /// - Throws: `too_large` if the headers already give a size above the limit; then nothing is decoded.
    init(_ reader: FileReader, maxPixels: Int, probes: Bool = true, codecs: String = Demuxer.codecs) throws {
        let io = try IOContext(reader)
        let context = try Self.open(io.pointer, reader, maxPixels: maxPixels, probes: probes, codecs: codecs)
        self.io = io
        self.context = context
    }

    private static func open(
        _ io: UnsafeMutablePointer<AVIOContext>, _ reader: FileReader, maxPixels: Int, probes: Bool,
        codecs: String
    ) throws -> UnsafeMutablePointer<AVFormatContext> {
        guard let allocated = avformat_alloc_context() else { throw MediaError.library("out of memory") }
        allocated.pointee.pb = io
        allocated.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
        allocated.pointee.max_streams = Int32(VideoChoice.maxStreams)
        allocated.pointee.io_open = { _, _, _, _, _ in AVERROR(EPERM) }
        var options: OpaquePointer?
        av_dict_set(&options, "format_whitelist", Self.formats, 0)
        av_dict_set(&options, "codec_whitelist", codecs, 0)
        av_dict_set(&options, "protocol_whitelist", "", 0)
        av_dict_set(&options, "probesize", "20000000", 0)
        av_dict_set(&options, "analyzeduration", "10000000", 0)
        defer { av_dict_free(&options) }
        var opened: UnsafeMutablePointer<AVFormatContext>? = allocated
        let status = avformat_open_input(&opened, nil, nil, &options)
        // On failure libavformat has freed the context.
        guard status >= 0, let opened else {
            // libavformat reports too many streams only as ENOMEM.
            let memory = status == AVERROR(ENOMEM)
            throw memory ? MediaError.tooManyStreams() : refusal(status, reader)
        }
        var failed = true
        defer {
            var closing: UnsafeMutablePointer<AVFormatContext>? = failed ? opened : nil
            if failed { avformat_close_input(&closing) }
        }
        // libavcodec discards sizes it considers invalid, so check them before calling it.
        let sizes = statedSizes(opened)
        if let first = sizes.first, sizes.allSatisfy({ $0.width > maxPixels / $0.height }) {
            throw MediaError.tooLarge(first.width, first.height, limit: maxPixels)
        }
        try checkNumber(opened)
        if probes {
            let found = avformat_find_stream_info(opened, nil)
            guard found >= 0 else { throw refusal(found, reader) }
            // Transport streams announce their streams packet by packet.
            try checkNumber(opened)
        }
        failed = false
        return opened
    }

    private static func refusal(_ status: Int32, _ reader: FileReader) -> MediaError {
        guard let name = ContainerSignature.damaged(reader.bytes(at: 0, count: 1024)) else {
            return .unsupportedFormat(text(status))
        }
        return .damagedHeader(name, text(status))
    }

    private static func checkNumber(_ context: UnsafeMutablePointer<AVFormatContext>) throws {
        let number = VideoChoice(context).video.count
        guard number <= VideoChoice.maxVideoStreams else { throw MediaError.tooManyStreams(video: number) }
    }

    /// The frame sizes in the container's headers, for the streams that have one.
    private static func statedSizes(_ context: UnsafeMutablePointer<AVFormatContext>) -> [(width: Int, height: Int)] {
        (0..<Int(context.pointee.nb_streams)).compactMap { index in
            guard let parameters = context.pointee.streams?[index]?.pointee.codecpar,
                parameters.pointee.codec_type == AVMEDIA_TYPE_VIDEO, parameters.pointee.width > 0,
                parameters.pointee.height > 0
            else { return nil }
            return (Int(parameters.pointee.width), Int(parameters.pointee.height))
        }
    }

    deinit {
        var closing: UnsafeMutablePointer<AVFormatContext>? = context
        avformat_close_input(&closing)
    }

    var formatName: String { context.pointee.iformat.flatMap { String(cString: $0.pointee.name) } ?? "" }
    /// True if the container's timestamps may be discontinuous, as in MPEG streams (AVFMT_TS_DISCONT).
    var allowsDiscontinuities: Bool { (context.pointee.iformat?.pointee.flags ?? 0) & AVFMT_TS_DISCONT != 0 }
    /// True if frames are shown in file order even when their timestamps say otherwise.
    var isOrderedByPosition: Bool { allowsDiscontinuities || formatName == "flv" }
    /// Number of streams found so far.
    var streamCount: Int { Int(context.pointee.nb_streams) }

    func stream(_ index: Int) -> UnsafeMutablePointer<AVStream>? {
        guard (0..<streamCount).contains(index) else { return nil }
        return context.pointee.streams?[index]
    }

    /// Selects the video stream and discards all others.
    ///
    /// - Parameter count: as in `VideoChoice.best`.
    func selectVideo(
        _ wanted: Int?, maxPixels: Int, notes: inout DecodeResult, count: ([Int]) throws -> [Int: Int] = { _ in [:] }
    ) throws -> Int {
        let choice = VideoChoice(context)
        let video = choice.video
        guard !video.isEmpty else {
            let unknown = (0..<streamCount).count { isUnknown($0) }
            guard unknown < streamCount || choice.attachedPictures > 0 else {
                let seen =
                    streamCount == 0
                    ? "it lists no streams"
                    : counted(streamCount, "stream is", "streams are") + " of unknown kind"
                throw MediaError.damagedHeader(ContainerHeader.container(formatName), seen)
            }
            throw MediaError.noVideo(streamCount, attachedPictures: choice.attachedPictures, unknown: unknown)
        }
        if let wanted, !video.contains(wanted) { throw MediaError.noSuchStream(wanted, video) }
        let chosen = try wanted ?? choice.best(context, maxPixels: maxPixels) { try count(video) }
        if video.count > 1, wanted == nil {
            notes.note(
                "several_video_streams",
                "\(video.count) video streams (\(video.map(String.init).joined(separator: ", "))); stream \(chosen) was taken"
            )
        }
        for index in 0..<streamCount {
            stream(index)?.pointee.discard = index == chosen ? AVDISCARD_DEFAULT : AVDISCARD_ALL
        }
        return chosen
    }

    /// True if a stream has no known kind: not video, audio, text, or data with a codec ID.
    private func isUnknown(_ index: Int) -> Bool {
        guard let parameters = stream(index)?.pointee.codecpar else { return true }
        switch parameters.pointee.codec_type {
        case AVMEDIA_TYPE_AUDIO, AVMEDIA_TYPE_SUBTITLE, AVMEDIA_TYPE_ATTACHMENT: return false
        default: return parameters.pointee.codec_id == AV_CODEC_ID_NONE
        }
    }

    static func text(_ status: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        av_strerror(status, &buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
