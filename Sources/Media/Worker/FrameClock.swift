import CFFmpeg

/// Determines the time of each decoded frame, in units of the stream's time base.
struct FrameClock {
    /// Duration of a frame that does not state one, in units.
    let frameDuration: Int64
    /// End of the previous frame.
    private var next: Int64 = 0
    private var hasTimestamps = false

    init(frameDuration: Int64) { self.frameDuration = frameDuration }

    /// The frame's best_effort_timestamp; if it has none, the end of the previous frame.
    ///
    /// `guessed` is true if no frame has had a timestamp so far. Decoders return none for the last frames of an AVI
    /// file with B-frames, after all other frames had one.
    mutating func time(of frame: borrowing DecodedFrame) -> (pts: Int64, guessed: Bool) {
        let raw = frame.pointer
        let best = raw.pointee.best_effort_timestamp
        hasTimestamps = hasTimestamps || best != AV_NOPTS_VALUE
        let pts = best != AV_NOPTS_VALUE ? best : next
        advance(from: pts, by: raw.pointee.pkt_duration)
        return (pts, !hasTimestamps)
    }

    /// Counts a frame that is not decoded; `duration` is 0 if unknown.
    mutating func pass(_ pts: Int64, duration: Int64) {
        hasTimestamps = true
        advance(from: pts, by: duration)
    }

    private mutating func advance(from pts: Int64, by duration: Int64) {
        next = pts &+ (duration > 0 ? duration : frameDuration)
    }
}
