/// The result of indexing one recording.
public struct IndexedRecording: Sendable, Codable {
    public let action: String
    public let id: String
    public let index: String
    public let path: String
    public let frames: Int
    /// Frames encoded by this run.
    public let framesNow: Int
    public let duration: Double?
    public let bytes: Int64
    /// Size of the prefix cache.
    public var prefixCacheBytes: Int64 = 0
    /// Bytes of the prefix cache written by this run.
    public var prefixCacheBytesNow: Int64 = 0
    public let state: String
    public let notes: [String]
    public let counters: [String: Int]
    public let seconds: Double

    public var isPartial: Bool { state == "partial" }
}
