/// The progress of indexing a recording.
public struct IndexProgress: Sendable {
    /// What is being done.
    package enum Stage: Sendable, Equatable {
        /// Frames are decoded and encoded.
        case frames
        /// All frames are done and the prefix cache is computed; `done` is the fraction, 0 to 1.
        case prefixCache(done: Double)
    }

    /// What is being done.
    package var stage = Stage.frames
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

    /// Seconds of the recording encoded per second.
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
