import CFFmpeg

/// Holds back a frame that comes much later than the one before, until the next frame confirms its time.
struct PendingFrame {
    private var waiting: (frame: HeldFrame, pts: Int64)?
    /// An empty frame to use next.
    private var spare: HeldFrame?

    /// Holds a frame by reference.
    mutating func hold(_ frame: borrowing DecodedFrame, pts: Int64) throws {
        let holder = try spare ?? HeldFrame()
        spare = nil
        holder.replace(by: frame)
        waiting = (holder, pts)
    }

    /// Takes the frame that waits; it is valid until the next call of `hold`.
    mutating func take() -> (frame: HeldFrame, pts: Int64)? {
        guard let taken = waiting else { return nil }
        waiting = nil
        spare = taken.frame
        return taken
    }
}
