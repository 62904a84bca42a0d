public import Media
public import Store

/// What indexing a recording will take, known before it starts.
public struct IndexPlan: Sendable, Codable {
    public let path: String
    /// nil for a file that is known to be indexed: it is not looked into.
    public let info: RecordingInfo?
    /// nil where the container does not say how long it is.
    public let frames: Int?
    public let bytes: Int64?
    /// What all questions share, made at the end of indexing, or kept of it; nil where the length is unknown or nothing is made.
    public var prefixCacheBytes: Int64?
    public let bytesPerFrame: Int
    public let freeBytes: Int64
    /// What the cache holds, and what it may hold: where that is not enough, what was asked longest ago goes.
    public let cacheBytes: Int64?
    public let cacheMaxBytes: Int64
    public let notes: [MediaNote]
    /// A guess from the model's operations and the machine's measured peak; nil where the length is unknown.
    public let estimatedSeconds: Double?
    /// Whether this very file was indexed so before.
    public let indexed: Bool
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

    /// Of a file that is indexed.
    public init(_ known: IndexedRecording, library: Library) throws {
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

public struct IndexProgress: Sendable {
    public let frames: Int
    /// nil where unknown.
    public let framesTotal: Int?
    /// Frames encoded by this run.
    public let framesNow: Int
    public let seconds: Double
    /// Seconds of the recording that a frame stands for.
    public let frameSeconds: Double
    /// How much of what questions share is made, 0 to 1; nil while frames are encoded.
    public var derived: Double?

    public var timesRealTime: Double { framesPerSecond * frameSeconds }
    public var framesPerSecond: Double { seconds > 0 ? Double(framesNow) / seconds : 0 }
    public var secondsLeft: Double? {
        guard let framesTotal, framesPerSecond > 0 else { return nil }
        return Double(max(0, framesTotal - frames)) / framesPerSecond
    }
}

/// What became of one recording.
public struct IndexOutcome: Sendable {
    public enum Action: String, Sendable, Codable { case new, resumed, unchanged }

    public let action: Action
    public let id: String
    public let manifest: Manifest
    public let notes: [MediaNote]
    public let seconds: Double
    /// Frames encoded by this run.
    public let framesNow: Int
    public var isPartial: Bool { manifest.state == "partial" }
}
