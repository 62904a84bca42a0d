/// A sampled picture: what was shown at a grid time, with the time it says itself.
public struct Frame: Sendable {
    /// Position in the sampling, from 0.
    public var index = 0
    /// Seconds from the first presented frame: index / frames per second.
    public var gridTime = 0.0
    /// Presentation time in the stream's time base, unwrapped.
    public var pts: Int64 = 0
    /// Seconds from the first presented frame of the picture itself.
    public var ptsSeconds = 0.0
    public var width = 0
    public var height = 0
    /// parts · height · width · 3, row-major RGB.
    public var rgb: [UInt8] = []

    public init() {}
}

/// What is oddly true of a recording, but no reason to stop.
public struct MediaNote: Sendable, Codable, Equatable {
    public let code: String
    public let message: String

    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }
}

/// What a recording's container and video stream say about themselves. Nothing here is to be trusted for allocation.
public struct RecordingInfo: Sendable, Codable, Equatable {
    public var format = ""
    public var codec = ""
    public var pixelFormat = ""
    public var stream = 0
    /// As coded, before rotation and square pixels.
    public var width = 0
    public var height = 0
    /// Average frames per second as the container says; nil where it does not.
    public var framesPerSecond: Double?
    /// Seconds as the container says; nil where unknown or absurd.
    public var duration: Double?
    /// True where the container says no length and `duration` comes from the last times in the file or its bit rate.
    public var durationIsGuessed: Bool?
    /// Numerator and denominator.
    public var timeBase: [Int] = [1, 1]
    /// The first presented frame's time in the stream's own count, in seconds: zero of all times here.
    public var startSeconds: Double?
    /// Seconds from the start of the file's time line, as players count it, to the first presented frame.
    public var fileStart: Double?

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

/// The work done, so that it can be asserted.
public struct DecodeCounters: Sendable, Codable, Equatable {
    public var packets = 0
    public var bytesRead: Int64 = 0
    public var packetErrors = 0
    public var framesDecoded = 0
    public var framesCorrupt = 0
    public var framesOutOfOrder = 0
    public var discontinuities = 0
    public var sizeChanges = 0
    public var framesSampled = 0
    /// Grid times whose picture is that of the grid time before.
    public var framesRepeated = 0

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

    /// By their JSON names.
    public var dictionary: [String: Int] {
        [
            "packets": packets, "bytes_read": Int(bytesRead), "packet_errors": packetErrors,
            "frames_decoded": framesDecoded, "frames_corrupt": framesCorrupt,
            "frames_out_of_order": framesOutOfOrder, "discontinuities": discontinuities, "size_changes": sizeChanges,
            "frames_sampled": framesSampled, "frames_repeated": framesRepeated,
        ]
    }
}

/// What reading a recording found, complete once its frames have ended.
public struct DecodeResult: Sendable, Codable, Equatable {
    public enum Status: String, Sendable, Codable {
        case complete, partial
    }

    public var info = RecordingInfo()
    public var status = Status.complete
    public var counters = DecodeCounters()
    public var notes: [MediaNote] = []
    /// Seconds covered: to the end of the last presented frame.
    public var coveredSeconds = 0.0

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

// The worker's numbers are as hostile as the file's.
extension RecordingInfo {
    /// Without numbers that cannot be.
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
