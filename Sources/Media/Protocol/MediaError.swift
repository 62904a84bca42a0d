import Glibc

/// The reason a recording cannot be read, or a frame of it cannot be made.
public struct MediaError: Error, CustomStringConvertible, Sendable, Equatable {
    /// Stable identifiers for programs.
    public enum Code: String, Sendable, Codable {
        case emptyFile = "empty_file"
        case notRegularFile = "not_a_regular_file"
        case cannotRead = "cannot_read"
        case moovMissing = "moov_missing"
        case unsupportedFormat = "unsupported_format"
        case damagedHeader = "damaged_header"
        case unsupportedCodec = "unsupported_codec"
        case stillImage = "still_image"
        case playlist
        case noVideoStream = "no_video_stream"
        case noSuchStream = "no_such_stream"
        case encrypted
        case tooLarge = "too_large"
        case noTimestamps = "no_timestamps"
        case nothingDecoded = "nothing_decoded"
        case clipTooShort = "clip_too_short"
        case limitReached = "limit_reached"
        case decoderCrashed = "decoder_crashed"
        case decoderStuck = "decoder_stuck"
        /// Decoding takes more CPU time than a recording may cost.
        case tooSlowToDecode = "too_slow_to_decode"
        /// A still image that cannot be decoded.
        case picture
        /// No descriptor, process or thread is available.
        case processLimit = "process_limit"
        case worker
    }

    /// The stable identifier for programs.
    public let code: Code
    /// The text for people, without the file's name.
    public let message: String
    public var description: String { message }

    /// Creates an error.
    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}

// All error texts are here. The caller adds the file's name, which the worker does not know.
extension MediaError {
    static func empty() -> Self {
        .init(code: .emptyFile, message: "empty file: it has 0 bytes; record or copy it again")
    }

    static func notRegular(_ kind: String) -> Self {
        .init(code: .notRegularFile, message: "\(kind), not a regular file; give the path of a video file")
    }

    static func cannotRead(_ reason: String) -> Self {
        .init(code: .cannotRead, message: "cannot read: \(reason)")
    }

    static func moovMissing() -> Self {
        .init(
            code: .moovMissing,
            message:
                "no 'moov' atom: the recording was interrupted before its index was written. Repair it with a tool that "
                + "rebuilds the index from an intact file of the same camera (e.g. untrunc), or record fragmented "
                + "(ffmpeg -movflags +frag_keyframe) so that an interruption loses only the end")
    }

    static func stillImage(_ kind: String) -> Self {
        .init(
            code: .stillImage,
            message:
                "a still image or animation (\(kind)), not a video; ask about it as an image, or make a video of it with ffmpeg"
        )
    }

    static func playlist(_ kind: String) -> Self {
        .init(
            code: .playlist,
            message:
                "a playlist (\(kind)), which names other files; Longtake opens only the file it is given. Download the "
                + "stream into one file first (ffmpeg -i LIST -c copy out.mkv)")
    }

    static func elsewhere() -> Self {
        .init(
            code: .unsupportedFormat,
            message:
                "its pictures are in another file, which its index names; Longtake opens only the file it is given. Make one "
                + "file of both (in the editor that wrote it: export as self-contained)")
    }

    static func unsupportedFormat(_ reason: String) -> Self {
        .init(
            code: .unsupportedFormat,
            message:
                "not a video container Longtake reads (\(reason)). It reads MP4/MOV, Matroska/WebM, MPEG-TS/PS, AVI, FLV, "
                + "ASF, Ogg and MXF; convert with ffmpeg -i FILE out.mp4")
    }

    /// `seen`: the part of the header that is invalid.
    static func damagedHeader(_ container: String, _ seen: String) -> Self {
        .init(
            code: .damagedHeader,
            message:
                "the \(container) header is damaged or cut off (\(seen)); copy the file again from where it was recorded, or try "
                + "to rebuild it (ffmpeg -err_detect ignore_err -i FILE -c copy out.mkv)")
    }

    /// `video`: the number of video streams, if it is above the limit.
    static func tooManyStreams(video: Int? = nil) -> Self {
        let what =
            video.map { "\($0) video streams, the limit is \(VideoChoice.maxVideoStreams)" }
            ?? "more than \(VideoChoice.maxStreams) streams, or tables beyond the memory they may take"
        return .init(
            code: .unsupportedFormat,
            message: "\(what); copy those you want into a file of their own (ffmpeg -i FILE -map 0:v:0 -c copy out.mkv)"
        )
    }

    static func unsupportedCodec(_ name: String) -> Self {
        .init(
            code: .unsupportedCodec,
            message:
                "the video stream's codec is \(name), which is not decoded here; convert with ffmpeg -i FILE -c:v libx264 out.mp4"
        )
    }

    static func noVideo(_ streams: Int, pictures: Int, unknown: Int = 0) -> Self {
        let cover = pictures > 0 ? " (\(pictures) of them cover art, which does not count)" : ""
        let rest = unknown > 0 ? "; \(unknown) of no known kind: if there should be a video, the header is damaged" : ""
        return .init(
            code: .noVideoStream, message: "no video stream among \(counted(streams, "stream"))\(cover)\(rest)")
    }

    static func noSuchStream(_ wanted: Int, _ video: [Int]) -> Self {
        .init(
            code: .noSuchStream,
            message:
                "stream \(wanted) is not a video stream; \(video.count == 1 ? "the only one is" : "the video streams are") "
                + video.map(String.init).joined(separator: ", ")
        )
    }

    static func encrypted() -> Self {
        .init(code: .encrypted, message: "encrypted (DRM); Longtake has no keys. Use an unprotected copy")
    }

    static func tooLarge(_ width: Int, _ height: Int, limit: Int) -> Self {
        .init(
            code: .tooLarge,
            message:
                "pictures of \(width)×\(height) are \(width) × \(height) = \(width &* height) pixels, the limit is \(limit); "
                + "scale the recording down first (ffmpeg -i FILE -vf scale=1920:-2 out.mp4)")
    }

    static func noTimestamps() -> Self {
        .init(
            code: .noTimestamps,
            message:
                "the frames have no times and the stream says no frame rate; remux it with one (ffmpeg -r 25 -i FILE -c copy out.mkv)"
        )
    }

    static func nothingDecoded(_ packets: Int, errors: Int) -> Self {
        .init(
            code: .nothingDecoded,
            message:
                "no frame could be decoded (\(counted(packets, "packet")) read, \(errors) of them damaged); the file is corrupt or cut off: "
                + "its data, or the decoder's configuration in its header"
        )
    }

    static func clipTooShort(_ frames: Int, rate: Double) -> Self {
        .init(
            code: .clipTooShort,
            message:
                "\(counted(frames, "frame")) at \(rate) per second \(frames == 1 ? "is" : "are") less than one second: reference sampling gives no frame "
                + "there; sample on the grid")
    }

    static func crashed(_ how: String) -> Self {
        .init(
            code: .decoderCrashed, message: "the decoder crashed (\(how)); the file is damaged in a way it cannot take")
    }

    static func tooLittleMemory(_ how: String, limit: UInt, needed: Int) -> Self {
        .init(
            code: .processLimit,
            message:
                "the decoder crashed (\(how)), perhaps for want of memory: this process may have \(limit) bytes of address space, "
                + "decoding may need \(needed); raise the limit (ulimit -v unlimited, LimitAS= of a systemd unit)")
    }

    static func tooSlow(_ used: Double, covered: Double) -> Self {
        .init(
            code: .tooSlowToDecode,
            message:
                "decoding took \(Int(saturating: used)) s of CPU time for the first \(Int(saturating: covered)) s of the recording, "
                + "more than a recording may cost, and was stopped; it is made to cost time, or damaged. Convert it with ffmpeg "
                + "if you trust it (ffmpeg -i FILE -c:v libx264 out.mp4)")
    }

    static func stuck(_ seconds: Double) -> Self {
        .init(
            code: .decoderStuck,
            message:
                "the decoder made no progress for \(Int(saturating: seconds)) s and was stopped; the file is damaged or its storage hangs"
        )
    }

    /// A system call failed: `what` could not be obtained; `number` is its errno.
    package static func limit(_ what: String, _ number: Int32) -> Self {
        let reason = "\(what): \(String(cString: strerror(number)))"
        guard let limit = ResourceLimits.limit(number) else { return worker(reason) }
        return .init(code: .processLimit, message: "\(reason); \(limit)")
    }

    static func worker(_ what: String) -> Self { .init(code: .worker, message: "decode worker: \(what)") }

    static func missingLibrary(_ what: String) -> Self {
        worker("FFmpeg's libraries cannot be loaded (\(what)); install them (apt-get install ffmpeg)")
    }

    static func library(_ what: String) -> Self { .init(code: .worker, message: "libav: \(what)") }
}
