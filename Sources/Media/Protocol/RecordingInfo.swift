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
    /// The dates in the container's metadata by the names of their tags, as they are written; nil if there are none.
    public var dates: [String: String]?

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
        case dates
    }
}

// The worker decodes a hostile file, so its values are not trusted either.
extension RecordingInfo {
    /// A copy without impossible values.
    var sanitized: RecordingInfo {
        var info = self
        if let duration, !(duration > 0 && duration <= 31 * 86_400) { info.duration = nil }
        if let framesPerSecond, !(framesPerSecond > 0 && framesPerSecond <= 1e6) { info.framesPerSecond = nil }
        if let startSeconds, !startSeconds.isFinite { info.startSeconds = nil }
        if let fileStart, !(fileStart >= 0 && fileStart <= 31 * 86_400) { info.fileStart = nil }
        info.dates = dates.map(ContainerDates.sanitized)
        return info
    }
}
