/// Decides the grid times at which a frame is shown: t_k takes the last frame with time ≤ t_k.
///
/// One unit of the time base of tolerance, at most a millisecond, allows for rounding to the time base; a time base as
/// coarse as the frame rate needs none. A further nanosecond allows for rounding in these sums, so that a frame exactly
/// one unit late is accepted whatever the last bit of the Double is.
struct GridSampler {
    let framesPerSecond: Double
    let tolerance: Double
    /// The next grid index to assign.
    private(set) var next = 0

    /// - Parameter unit: seconds per unit of the time base.
    init(framesPerSecond: Double, unit: Double) {
        self.framesPerSecond = framesPerSecond
        tolerance = min(unit, 0.001) + 1e-9
    }

    var nextTime: Double { Double(next) / framesPerSecond }

    /// The grid indices at which the previous frame was still shown, when a frame with time `time` (seconds) arrives.
    mutating func advance(to time: Double) -> Range<Int> {
        let first = next
        while nextTime + tolerance < time { next += 1 }
        return first..<next
    }

    /// The remaining grid indices, if the last frame is shown until `time` (seconds).
    mutating func finish(at time: Double) -> Range<Int> {
        let first = next
        while nextTime < time - tolerance { next += 1 }
        return first..<next
    }
}
