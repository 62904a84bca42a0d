/// Decides which grid times a frame is shown at: t_k takes the last frame with time ≤ t_k.
///
/// One tick of tolerance forgives the rounding of times to the time base, at most a millisecond: a time base as coarse
/// as the frame rate has no rounding to forgive. A nanosecond on top is for the rounding of these sums themselves: a frame
/// one tick late is in time, whatever the last bit of a Double says.
struct GridSampler {
    let framesPerSecond: Double
    let tolerance: Double
    /// The next grid index to give out.
    private(set) var next = 0

    init(framesPerSecond: Double, tick: Double) {
        self.framesPerSecond = framesPerSecond
        tolerance = min(tick, 0.001) + 1e-9
    }

    var nextTime: Double { Double(next) / framesPerSecond }

    /// The grid indices at which the frame before was still being shown when one of `time` seconds comes.
    mutating func advance(to time: Double) -> Range<Int> {
        let first = next
        while nextTime + tolerance < time { next += 1 }
        return first..<next
    }

    /// The grid indices left when the last frame's showing ends at `time`.
    mutating func finish(at time: Double) -> Range<Int> {
        let first = next
        while nextTime < time - tolerance { next += 1 }
        return first..<next
    }
}
