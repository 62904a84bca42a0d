/// The result of indexing one recording.
public struct IndexedRecording: Sendable, Codable {
    /// What was done.
    public enum Action: String, Sendable, Codable {
        /// The recording was indexed from its first frame.
        case new
        /// An earlier run's index was continued.
        case resumed
        /// A finished index existed.
        case unchanged
    }

    /// What was done.
    public let action: Action
    /// Recording ID.
    public let id: String
    /// Index ID.
    public let index: String
    /// Path of the recording.
    public let path: String
    /// Number of frames in the index.
    public let frames: Int
    /// Frames encoded by this run.
    public let framesNow: Int
    /// Duration of the indexed part in seconds.
    public let duration: Double?
    /// Number of frames that refer to the record of an earlier frame; nil if the index allows no references.
    public var framesReused: Int?
    /// Size of the frame and patch files in bytes.
    public let bytes: Int64
    /// Size of the prefix cache in bytes.
    public var prefixCacheBytes: Int64 = 0
    /// Bytes of the prefix cache written by this run.
    public var prefixCacheBytesNow: Int64 = 0
    /// `complete` or `partial`.
    public let state: IndexState
    /// Notes about the recording.
    public let notes: [String]
    /// Counts of what happened while decoding, by name.
    public let counters: [String: Int]
    /// Seconds this took.
    public let seconds: Double
    /// The camera's name; nil if unknown.
    public var camera: String?
    /// When it was recorded; nil if unknown.
    public var clock: RecordedTime?

    /// True if the index does not cover the whole recording.
    public var isPartial: Bool { state == .partial }
}
