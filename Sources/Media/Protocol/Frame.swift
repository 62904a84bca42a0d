/// A sampled frame: the image shown at a grid time, with its own presentation time.
public struct Frame: Sendable {
    /// Index in the sampling, from 0.
    public var index = 0
    /// Seconds from the first presented frame: `index` / frames per second.
    public var gridTime = 0.0
    /// Presentation time in the stream's time base, unwrapped.
    public var pts: Int64 = 0
    /// Presentation time of this frame, in seconds from the first presented frame.
    public var ptsSeconds = 0.0
    /// In pixels, of one part.
    public var width = 0
    /// In pixels, of one part.
    public var height = 0
    /// RGB, row-major; shape [parts, height, width, 3].
    public var rgb: [UInt8] = []

    /// Creates an empty frame, to be filled by `FrameStream.next`.
    public init() {}
}

/// An unusual property of a recording that does not prevent decoding.
public struct MediaNote: Sendable, Codable, Equatable {
    /// A stable identifier for programs.
    public let code: String
    /// The text for people.
    public let message: String

    /// Creates a note.
    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }
}

/// Metadata of a recording's container and video stream; not to be trusted for allocation.
public struct RecordingInfo: Sendable, Codable, Equatable {
    /// libavformat's name of the container.
    public var format = ""
    /// libavcodec's name of the codec.
    public var codec = ""
    /// libavutil's name of the pixel format.
    public var pixelFormat = ""
    /// Index of the video stream in the container.
    public var stream = 0
    /// As coded, in pixels, before rotation and conversion to square pixels.
    public var width = 0
    /// As coded, in pixels, before rotation and conversion to square pixels.
    public var height = 0
    /// Average frames per second according to the container; nil if it does not say.
    public var framesPerSecond: Double?
    /// Seconds according to the container; nil if unknown or absurd.
    public var duration: Double?
    /// True if the container states no length, and `duration` was derived from the file's last times or its bit rate.
    public var durationIsGuessed: Bool?
    /// The stream's time base: numerator and denominator, in seconds.
    public var timeBase: [Int] = [1, 1]
    /// The first presented frame's timestamp in the stream, in seconds; all other times are relative to it.
    public var startSeconds: Double?
    /// Seconds from the start of the file's timeline, as players count it, to the first presented frame.
    public var fileStart: Double?

    /// Creates empty metadata.
    public init() {}

    enum CodingKeys: String, CodingKey {
        case format, codec
        case pixelFormat = "pixel_format"
        case stream, width, height
        case framesPerSecond = "frames_per_second"
        case duration
        case durationIsGuessed = "duration_is_guessed"
        case timeBase = "time_base"
        case startSeconds = "start_seconds"
        case fileStart = "file_start"
    }
}

/// Counters of the work done, for checks.
public struct DecodeCounters: Sendable, Codable, Equatable {
    /// Packets of the video stream sent to the decoder.
    public var packets = 0
    /// Highest file offset read.
    public var bytesRead: Int64 = 0
    /// Packets that are damaged, unreadable or rejected by the decoder.
    public var packetErrors = 0
    /// Frames the decoder returned.
    public var framesDecoded = 0
    /// Frames left out because the decoder flagged them as damaged.
    public var framesCorrupt = 0
    /// Frames left out because their time was already passed.
    public var framesOutOfOrder = 0
    /// Breaks in the timestamps.
    public var discontinuities = 0
    /// Changes of the frame size within the stream.
    public var sizeChanges = 0
    /// Frames sampled, including repeated ones.
    public var framesSampled = 0
    /// Grid times whose frame is the same as that of the grid time before.
    public var framesRepeated = 0

    /// Creates counters that are all 0.
    public init() {}

    enum CodingKeys: String, CodingKey {
        case packets
        case bytesRead = "bytes_read"
        case packetErrors = "packet_errors"
        case framesDecoded = "frames_decoded"
        case framesCorrupt = "frames_corrupt"
        case framesOutOfOrder = "frames_out_of_order"
        case discontinuities
        case sizeChanges = "size_changes"
        case framesSampled = "frames_sampled"
        case framesRepeated = "frames_repeated"
    }

    /// The counters by their JSON names.
    public var dictionary: [String: Int] {
        [
            "packets": packets, "bytes_read": Int(bytesRead), "packet_errors": packetErrors,
            "frames_decoded": framesDecoded, "frames_corrupt": framesCorrupt,
            "frames_out_of_order": framesOutOfOrder, "discontinuities": discontinuities, "size_changes": sizeChanges,
            "frames_sampled": framesSampled, "frames_repeated": framesRepeated,
        ]
    }
}

/// The result of decoding a recording, complete once its frames have ended.
public struct DecodeResult: Sendable, Codable, Equatable {
    /// Whether all of the recording was decoded.
    public enum Status: String, Sendable, Codable {
        case complete, partial
    }

    /// Metadata of the container and the video stream.
    public var info = RecordingInfo()
    /// `partial` if something is missing; `notes` say what.
    public var status = Status.complete
    /// Counters of the work done.
    public var counters = DecodeCounters()
    /// Notes for the user; at most 64, one per code.
    public var notes: [MediaNote] = []
    /// Seconds covered, up to the end of the last presented frame.
    public var coveredSeconds = 0.0

    /// Creates an empty result.
    public init() {}

    mutating func note(_ code: String, _ message: String) {
        guard !notes.contains(where: { $0.code == code }), notes.count < 64 else { return }
        notes.append(MediaNote(code: code, message: message))
    }

    enum CodingKeys: String, CodingKey {
        case info, status, counters, notes
        case coveredSeconds = "covered_seconds"
    }
}

// The worker decodes a hostile file, so its values are not trusted either.
extension RecordingInfo {
    /// A copy without impossible values.
    var believable: RecordingInfo {
        var info = self
        if let duration, !(duration > 0 && duration <= 31 * 86_400) { info.duration = nil }
        if let framesPerSecond, !(framesPerSecond > 0 && framesPerSecond <= 1e6) { info.framesPerSecond = nil }
        if let startSeconds, !startSeconds.isFinite { info.startSeconds = nil }
        if let fileStart, !(fileStart >= 0 && fileStart <= 31 * 86_400) { info.fileStart = nil }
        return info
    }
}

extension DecodeResult {
    var believable: DecodeResult {
        var result = self
        result.info = info.believable
        if !(coveredSeconds >= 0 && coveredSeconds < 1e12) { result.coveredSeconds = 0 }
        return result
    }
}
