/// Counters of the work done, for checks.
public struct DecodeCounters: Sendable, Codable, Equatable {
    /// Packets of the video stream.
    public var packets = 0
    /// Highest file offset read.
    public var bytesRead: Int64 = 0
    /// Packets that are damaged, unreadable or rejected by the decoder.
    public var packetErrors = 0
    /// Frames the decoder returned.
    public var framesDecoded = 0
    /// Frames of grid sampling that are not decoded, because no sampled frame needs them.
    ///
    /// Depends on where a run starts, so `dictionary` adds them to the decoded ones: an index has the same counters
    /// however often it was interrupted.
    public var framesSkipped = 0
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
        case framesSkipped = "frames_skipped"
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
            "frames_decoded": framesDecoded + framesSkipped, "frames_corrupt": framesCorrupt,
            "frames_out_of_order": framesOutOfOrder, "discontinuities": discontinuities, "size_changes": sizeChanges,
            "frames_sampled": framesSampled, "frames_repeated": framesRepeated,
        ]
    }
}
