import CFFmpeg

/// Holds back a frame that comes much later than the one before, until the next frame confirms its time.
struct PendingFrame {
    /// What waits; `frame` is nil for a frame that is not decoded.
    struct Waiting {
        let frame: HeldFrame?
        let pts: Int64
        /// In units of the time base; 0 if unknown.
        let duration: Int64
    }

    private var waiting: Waiting?
    /// An empty frame to use next.
    private var spare: HeldFrame?

    /// Holds a frame by reference.
    mutating func hold(_ frame: borrowing DecodedFrame, pts: Int64) throws {
        let holder = try spare ?? HeldFrame()
        spare = nil
        holder.replace(by: frame)
        waiting = Waiting(frame: holder, pts: pts, duration: frame.pointer.pointee.pkt_duration)
    }

    mutating func hold(_ frame: SkippedFrames.Skipped) {
        waiting = Waiting(frame: nil, pts: frame.pts, duration: frame.duration)
    }

    /// Takes the frame that waits; it is valid until the next call of `hold`.
    mutating func take() -> Waiting? {
        guard let taken = waiting else { return nil }
        waiting = nil
        spare = taken.frame ?? spare
        return taken
    }
}
