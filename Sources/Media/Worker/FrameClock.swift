import CFFmpeg

/// Determines the time of each decoded frame, in the stream's ticks.
struct FrameClock {
    /// Duration in ticks of a frame that does not state one.
    let frameTicks: Int64
    private var following: Int64 = 0
    private var timed = false

    init(frameTicks: Int64) { self.frameTicks = frameTicks }

    /// The frame's best_effort_timestamp; if it has none, the end of the previous frame.
    ///
    /// `guessed` is true if no frame has had a timestamp so far. Decoders return none for the last frames of an AVI
    /// file with B-frames, after all other frames had one.
    mutating func time(of frame: borrowing DecodedFrame) -> (pts: Int64, guessed: Bool) {
        let raw = frame.pointer
        let best = raw.pointee.best_effort_timestamp
        timed = timed || best != AV_NOPTS_VALUE
        let pts = best != AV_NOPTS_VALUE ? best : following
        following = pts &+ (raw.pointee.pkt_duration > 0 ? raw.pointee.pkt_duration : frameTicks)
        return (pts, !timed)
    }
}
