import CFFmpeg

/// Tells the time of every decoded frame, in the stream's ticks.
struct FrameClock {
    /// Ticks a frame lasts that does not say so.
    let frameTicks: Int64
    private var following: Int64 = 0
    private var timed = false

    init(frameTicks: Int64) { self.frameTicks = frameTicks }

    /// The frame's own time, best_effort_timestamp; where it has none, the end of the frame before.
    ///
    /// `guessed`: no frame had a time so far. Decoders give none to the last frames of an AVI file with B-frames, after
    /// all the others had theirs.
    mutating func time(of frame: borrowing DecodedFrame) -> (pts: Int64, guessed: Bool) {
        let raw = frame.pointer
        let best = raw.pointee.best_effort_timestamp
        timed = timed || best != lt_nopts
        let pts = best != lt_nopts ? best : following
        following = pts &+ (raw.pointee.pkt_duration > 0 ? raw.pointee.pkt_duration : frameTicks)
        return (pts, !timed)
    }
}
