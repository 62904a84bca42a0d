package import Media
package import Store

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
        case path, info, frames, bytes, notes, indexed
        case estimatedSeconds = "estimated_seconds"
        case prefixCacheBytes = "prefix_cache_bytes"
        case bytesPerFrame = "bytes_per_frame"
        case freeBytes = "free_bytes"
        case cacheBytes = "cache_bytes"
        case cacheMaxBytes = "cache_max_bytes"
    }
}

/// The progress of indexing a recording.
public struct IndexProgress: Sendable {
    /// Number of frames done, including those of earlier runs.
    public let frames: Int
    /// Total number of frames; nil if unknown.
    public let framesTotal: Int?
    /// Frames encoded by this run.
    public let framesNow: Int
    /// Seconds since this run started.
    public let seconds: Double
    /// Seconds of the recording per frame.
    public let frameSeconds: Double
    /// Fraction of the prefix cache that is computed, 0 to 1; nil while frames are encoded.
    public var derived: Double?

    /// Seconds of the recording encoded per second.
    public var timesRealTime: Double { framesPerSecond * frameSeconds }
    /// Frames encoded per second by this run.
    public var framesPerSecond: Double { seconds > 0 ? Double(framesNow) / seconds : 0 }
    /// Estimated seconds until all frames are encoded; nil if unknown.
    public var secondsLeft: Double? {
        guard let framesTotal, framesPerSecond > 0 else { return nil }
        return Double(max(0, framesTotal - frames)) / framesPerSecond
    }
}

/// The result of indexing one recording.
package struct IndexOutcome: Sendable {
    /// What was done: `unchanged` if a complete index existed, `resumed` if an earlier run's was continued.
    package enum Action: String, Sendable, Codable { case new, resumed, unchanged }

    /// What was done.
    package let action: Action
    /// Recording ID.
    package let id: String
    /// The manifest of the index.
    package let manifest: Manifest
    /// Notes about decoding.
    package let notes: [MediaNote]
    /// Seconds this took.
    package let seconds: Double
    /// Frames encoded by this run.
    package let framesNow: Int
    /// True if the index does not cover the whole recording.
    package var isPartial: Bool { manifest.state == "partial" }
}
