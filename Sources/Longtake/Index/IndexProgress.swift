/// The progress of indexing a recording.
package struct IndexProgress: Sendable {
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
    package let frames: Int
    /// Total number of frames; nil if unknown.
    package let framesTotal: Int?
    /// Frames encoded by this run.
    package let framesNow: Int
    /// Seconds since this run started.
    package let seconds: Double
    /// Seconds of the recording per frame.
    package let frameSeconds: Double

    /// Seconds of the recording encoded per second.
    package var timesRealTime: Double { framesPerSecond * frameSeconds }
    /// Frames encoded per second by this run.
    package var framesPerSecond: Double { seconds > 0 ? Double(framesNow) / seconds : 0 }
    /// Estimated seconds until all frames are encoded; nil if unknown.
    package var secondsLeft: Double? {
        guard let framesTotal, framesPerSecond > 0 else { return nil }
        return Double(max(0, framesTotal - frames)) / framesPerSecond
    }
    /// Fraction of the prefix cache that is computed, 0 to 1; nil while frames are encoded.
    package var prefixCacheDone: Double? { if case .prefixCache(let done) = stage { done } else { nil } }
}
