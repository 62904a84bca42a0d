/// The progress of indexing a recording.
public struct IndexProgress: Sendable {
    /// A stage of indexing.
    package enum Stage: Sendable, Equatable {
        /// Frames are being decoded and encoded.
        case frames
        /// All frames are indexed and the prefix cache is being computed; `done` is its finished fraction, 0 to 1.
        case prefixCache(done: Double)
    }

    /// The current stage.
    package var stage = Stage.frames
    /// Estimated seconds until all files of the run are done; nil if unknown, and for a single file.
    package var secondsLeftOfAll: Double?
    /// Number of frames encoded, including those of earlier runs.
    public let frames: Int
    /// Number of frames the index will have; nil if unknown, e.g. for a stream without a duration.
    public let framesTotal: Int?
    /// Frames encoded by this run.
    public let framesNow: Int
    /// Seconds since this run started to index the recording.
    public let seconds: Double
    /// Sampling interval in seconds of the recording.
    public let frameSeconds: Double

    /// Seconds of the recording that this run encodes per second.
    public var timesRealTime: Double { framesPerSecond * frameSeconds }
    /// Frames encoded per second by this run.
    public var framesPerSecond: Double { seconds > 0 ? Double(framesNow) / seconds : 0 }
    /// Estimated seconds until all frames are encoded; nil if unknown.
    public var secondsLeft: Double? {
        guard let framesTotal, framesPerSecond > 0 else { return nil }
        return Double(max(0, framesTotal - frames)) / framesPerSecond
    }
    /// Fraction of the prefix cache that is computed, 0 to 1; nil while frames are encoded.
    public var prefixCacheDone: Double? { if case .prefixCache(let done) = stage { done } else { nil } }
}
