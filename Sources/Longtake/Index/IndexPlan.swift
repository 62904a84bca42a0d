package import Media
internal import Store

/// What indexing a recording will cost, computed before it starts.
public struct IndexPlan: Sendable, Codable {
    /// Path of the file.
    public let path: String
    /// The recording's streams and length; nil for a file known to be indexed, which is not opened.
    package let info: RecordingInfo?
    /// Number of frames; nil if the container has no duration.
    public let frames: Int?
    /// Size of the index in bytes; nil if the number of frames is unknown.
    public let bytes: Int64?
    /// Size in bytes of the prefix cache, existing or made after indexing; nil if the length is unknown or none is
    /// made.
    public var prefixCacheBytes: Int64?
    /// Which frames are reused; nil if only identical ones are, or none. Bytes and seconds are then upper bounds.
    public var reuse: String?
    /// Bytes of memory that a question about the whole recording needs in addition to the weights; nil below
    /// `leastQuestionMemory`, if the length is unknown, or if the recording exceeds the model's context.
    public internal(set) var questionMemoryBytes: Int64?
    /// Less memory than this is not reported: 1 GiB.
    static let leastQuestionMemory: Int64 = 1 << 30
    /// Bytes per frame.
    public let bytesPerFrame: Int
    /// Free space of the cache's file system in bytes.
    public let freeBytes: Int64
    /// Current size of the cache in bytes; nil if not requested.
    public let cacheBytes: Int64?
    /// Size limit of the cache in bytes; beyond it the least recently asked indexes are evicted.
    public let cacheMaxBytes: Int64
    /// Notes about the file.
    package let notes: [MediaNote]
    /// Estimate from the model's operations and the machine's measured peak; nil if the length is unknown.
    public let estimatedSeconds: Double?
    /// True if this file was indexed with these options before.
    public let indexed: Bool
    /// Duration of the recording in seconds; nil if unknown.
    public var duration: Double? { info?.duration ?? knownDuration }
    private var knownDuration: Double?

    init(
        path: String, info: RecordingInfo, frames: Int?, bytes: Int64?, bytesPerFrame: Int, freeBytes: Int64,
        cacheBytes: Int64?, cacheMaxBytes: Int64, notes: [MediaNote], estimatedSeconds: Double?, indexed: Bool
    ) {
        self.path = path
        self.info = info
        self.frames = frames
        self.bytes = bytes
        self.bytesPerFrame = bytesPerFrame
        self.freeBytes = freeBytes
        self.cacheBytes = cacheBytes
        self.cacheMaxBytes = cacheMaxBytes
        self.notes = notes
        self.estimatedSeconds = estimatedSeconds
        self.indexed = indexed
    }

    /// Creates the plan of a file that is already indexed.
    package init(_ known: IndexedRecording, library: Library) throws {
        path = known.path
        info = nil
        frames = known.frames
        bytes = known.bytes
        prefixCacheBytes = known.prefixCacheBytes
        bytesPerFrame = Int(known.bytes) / max(known.frames, 1)
        freeBytes = try library.cache.freeBytes()
        cacheBytes = try library.usage.used()
        cacheMaxBytes = try library.cacheLimit(remember: false)
        notes = []
        estimatedSeconds = nil
        indexed = true
        knownDuration = known.duration
    }

    private enum CodingKeys: String, CodingKey {
        case path, info, frames, bytes, notes, indexed, reuse
        case estimatedSeconds = "estimated_seconds"
        case prefixCacheBytes = "prefix_cache_bytes"
        case questionMemoryBytes = "question_memory_bytes"
        case bytesPerFrame = "bytes_per_frame"
        case freeBytes = "free_bytes"
        case cacheBytes = "cache_bytes"
        case cacheMaxBytes = "cache_max_bytes"
    }
}
