import Foundation
import Glibc
import SystemCalls

/// The reason a recording cannot be read, or a frame of it cannot be made.
public struct MediaError: Error, CustomStringConvertible, Sendable, Equatable {
    /// Stable identifiers for programs.
    public enum Code: String, Sendable, Codable {
        /// The file has no bytes.
        case emptyFile = "empty_file"
        /// A directory, pipe, socket or device.
        case notRegularFile = "not_a_regular_file"
        /// The system refuses to open or read the file.
        case cannotRead = "cannot_read"
        /// An MP4 file without its index.
        case moovMissing = "moov_missing"
        /// Not a container that is read, or beyond its limits.
        case unsupportedFormat = "unsupported_format"
        /// A header of the container or of a stream is invalid.
        case damagedHeader = "damaged_header"
        /// A codec that is not on the list, or unknown to FFmpeg.
        case unsupportedCodec = "unsupported_codec"
        /// An image where a video is expected.
        case stillImage = "still_image"
        /// A file that names other files.
        case playlist
        /// The file has no video.
        case noVideoStream = "no_video_stream"
        /// The requested stream is not a video stream of the file.
        case noSuchStream = "no_such_stream"
        /// The recording is protected by DRM.
        case encrypted
        /// A frame has more pixels than the limit.
        case tooLarge = "too_large"
        /// Neither timestamps nor a frame rate.
        case noTimestamps = "no_timestamps"
        /// No frame could be decoded.
        case nothingDecoded = "nothing_decoded"
        /// Too short for the reference's sampling.
        case clipTooShort = "clip_too_short"
        /// Input is larger than the limit.
        case limitReached = "limit_reached"
        /// The worker was ended by a signal or a fault.
        case decoderCrashed = "decoder_crashed"
        /// The worker made no progress for too long.
        case decoderStuck = "decoder_stuck"
        /// Decoding takes more CPU time than a recording may cost.
        case tooSlowToDecode = "too_slow_to_decode"
        /// A still image that cannot be decoded.
        case image = "picture"
        /// A part of the recording cannot be copied into a clip.
        case noClip = "no_clip"
        /// A clip's file cannot be written.
        case cannotWrite = "cannot_write"
        /// No descriptor, process or thread is available.
        case processLimit = "process_limit"
        /// The worker cannot be started, or its messages are invalid.
        case worker
    }

    /// The stable identifier for programs.
    public let code: Code
    /// The text for people, without the file's name.
    public let message: String
    /// The error that caused this one; nil if there is none, or if it happened in the worker process.
    public let underlying: (any Error)?

    /// The message.
    public var description: String { message }

    /// Creates an error.
    public init(code: Code, message: String, underlying: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    /// Compares code and message.
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code && a.message == b.message }
}

// All error texts are here. The caller adds the file's name, which the worker does not know.
extension MediaError {
    static func empty() -> Self {
        .init(code: .emptyFile, message: "empty file: it has 0 bytes; record or copy it again")
    }

    static func notRegular(_ kind: String) -> Self {
        .init(code: .notRegularFile, message: "\(kind), not a regular file; give the path of a video file")
    }

    static func cannotRead(_ reason: String, underlying: (any Error)? = nil) -> Self {
        .init(code: .cannotRead, message: "cannot read: \(reason)", underlying: underlying)
    }

    /// A system call on the file failed; `number` is its errno.
    static func cannotRead(errno number: Int32) -> Self {
        cannotRead(String(cString: strerror(number)), underlying: systemError(number))
    }

    private static func systemError(_ number: Int32) -> (any Error)? {
        POSIXErrorCode(rawValue: number).map { POSIXError($0) }
    }

    static func moovMissing() -> Self {
        .init(
            code: .moovMissing,
            message:
                "no 'moov' atom: the recording was interrupted before its index was written. Repair it with a tool "
                + "that rebuilds the index from an intact file of the same camera (e.g. untrunc), or record "
                + "fragmented (ffmpeg -movflags +frag_keyframe) so that an interruption loses only the end")
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
                "a playlist (\(kind)), which names other files; Longtake opens only the file it is given. Download "
                + "the stream into one file first (ffmpeg -i LIST -c copy out.mkv)")
    }

    static func externalData() -> Self {
        .init(
            code: .unsupportedFormat,
            message:
                "the frames are in another file, which the index names; Longtake opens only the file it is given. "
                + "Combine both in one file (in the editor that wrote it: export as self-contained)")
    }

    static func unsupportedFormat(_ reason: String) -> Self {
        .init(
            code: .unsupportedFormat,
            message:
                "not a video container Longtake reads (\(reason)). It reads MP4/MOV, Matroska/WebM, MPEG-TS/PS, AVI, "
                + "FLV, ASF, Ogg and MXF; convert with ffmpeg -i FILE out.mp4")
    }

    /// `seen`: the part of the header that is invalid.
    static func damagedHeader(_ container: String, _ seen: String) -> Self {
        .init(
            code: .damagedHeader,
            message:
                "the \(container) header is damaged or cut off (\(seen)); copy the file again from where it was "
                + "recorded, or try to repair it (ffmpeg -err_detect ignore_err -i FILE -c copy out.mkv)")
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
                "the video codec \(name) is not supported; convert with ffmpeg -i FILE -c:v libx264 out.mp4"
        )
    }

    static func noVideo(_ streams: Int, attachedPictures: Int, unknown: Int = 0) -> Self {
        let cover = attachedPictures > 0 ? " (\(attachedPictures) of them cover art)" : ""
        let rest = unknown > 0 ? "; \(unknown) of unknown kind: if there should be a video, the header is damaged" : ""
        return .init(
            code: .noVideoStream, message: "no video stream among \(counted(streams, "stream"))\(cover)\(rest)")
    }

    static func noSuchStream(_ wanted: Int, _ video: [Int]) -> Self {
        .init(
            code: .noSuchStream,
            message:
                "stream \(wanted) is not a video stream; "
                + "\(video.count == 1 ? "the only one is" : "the video streams are") "
                + video.map(String.init).joined(separator: ", ")
        )
    }

    static func encrypted() -> Self {
        .init(code: .encrypted, message: "encrypted (DRM); Longtake cannot decrypt it; use an unprotected copy")
    }

    static func tooLarge(_ width: Int, _ height: Int, limit: Int) -> Self {
        .init(
            code: .tooLarge,
            message:
                "frames of \(width)×\(height) have \(width &* height) pixels, the limit is \(limit); scale the "
                + "recording down first (ffmpeg -i FILE -vf scale=1920:-2 out.mp4)")
    }

    static func noTimestamps() -> Self {
        .init(
            code: .noTimestamps,
            message:
                "the frames have no timestamps and the stream states no frame rate; remux it with one (ffmpeg -r 25 "
                + "-i FILE -c copy out.mkv)"
        )
    }

    static func nothingDecoded(_ packets: Int, errors: Int) -> Self {
        .init(
            code: .nothingDecoded,
            message:
                "no frame could be decoded (\(counted(packets, "packet")) read, \(errors) of them damaged); the data "
                + "or the decoder's configuration in the header is damaged or cut off; copy the file again"
        )
    }

    static func noKeyFrames(_ packets: Int) -> Self {
        .init(
            code: .nothingDecoded,
            message: "none of \(counted(packets, "packet")) is a key frame that can be decoded; sample on the grid")
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
            code: .decoderCrashed, message: "the decoder crashed (\(how)); the file is probably damaged; copy it again")
    }

    static let serverLost = Self(
        code: .decoderCrashed,
        message:
            "the decoder was killed with the process that it was forked from, perhaps for lack of memory; try again")

    static func tooLittleMemory(_ how: String, limit: UInt, needed: Int) -> Self {
        .init(
            code: .processLimit,
            message:
                "the decoder crashed (\(how)), perhaps out of memory: the limit is \(limit) bytes of address space, "
                + "decoding may need \(needed); raise the limit (ulimit -v unlimited, LimitAS= of a systemd unit)")
    }

    static func tooSlow(_ used: Double, covered: Double) -> Self {
        .init(
            code: .tooSlowToDecode,
            message:
                "decoding took \(Int(saturating: used)) s of CPU time for the first \(Int(saturating: covered)) s of "
                + "the recording, more than the limit, and was stopped; the file is damaged, or made to be slow. "
                + "Convert it with ffmpeg if you trust it (ffmpeg -i FILE -c:v libx264 out.mp4)")
    }

    static func stuck(_ seconds: Double) -> Self {
        .init(
            code: .decoderStuck,
            message:
                "the decoder made no progress for \(Int(saturating: seconds)) s and was stopped; the file is damaged, "
                + "or its storage does not respond"
        )
    }

    /// A system call failed: `what` could not be obtained; `number` is its errno.
    package static func limit(_ what: String, _ number: Int32) -> Self {
        let reason = "\(what): \(SystemError(number))"
        let underlying = systemError(number)
        guard let limit = ResourceLimits.limit(number) else { return worker(reason, underlying: underlying) }
        return .init(code: .processLimit, message: "\(reason); \(limit)", underlying: underlying)
    }

    static func worker(_ what: String, underlying: (any Error)? = nil) -> Self {
        .init(code: .worker, message: "decode worker: \(what)", underlying: underlying)
    }

    package static func noClip(_ what: String) -> Self {
        .init(code: .noClip, message: "no clip: \(what)")
    }

    /// A system call on the file that is written failed; `number` is its errno.
    package static func cannotWrite(errno number: Int32) -> Self {
        let reason = number == EFBIG ? "the clip would be larger than its limit" : String(cString: strerror(number))
        return .init(code: .cannotWrite, message: "cannot write: \(reason)", underlying: systemError(number))
    }

    static func missingLibrary(_ what: String) -> Self {
        worker("FFmpeg's libraries cannot be loaded (\(what)); install them (apt-get install ffmpeg)")
    }

    static func library(_ what: String) -> Self { .init(code: .worker, message: "FFmpeg: \(what)") }
}
