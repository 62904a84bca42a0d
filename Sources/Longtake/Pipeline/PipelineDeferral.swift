internal import Media

/// Decides which recordings of a limited run wait until the others are done.
struct PipelineDeferral: Sendable {
    let options: IndexOptions
    /// Measured by this run or an earlier one; nil: unknown.
    let secondsPerFrame: Double?

    /// Whether a recording would take more than half of the time that is left for indexing; nil if nothing tells.
    ///
    /// One of unknown length would: it may be longer than all others.
    /// - Parameter estimate: its seconds, for use where no run has measured any; nil: unknown.
    func isLong(_ info: RecordingInfo, estimate: Double? = nil) -> Bool? {
        guard let deadline = options.deadline else { return false }
        guard info.duration != nil else { return true }
        // The number of key frames is not known before they are read, though the length is.
        guard let frames = options.frameCount(info).map({ min($0, options.maxFrames) }) else { return false }
        guard let seconds = secondsPerFrame.map({ Double(frames) * $0 }) ?? estimate else { return nil }
        return seconds > (deadline - .now).seconds / 2
    }
}
