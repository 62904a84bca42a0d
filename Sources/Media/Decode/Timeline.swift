/// Turns the times a stream gives its frames into one that only goes forward, from 0 at the first presented frame.
///
/// MPEG-TS counts 33 bits: it wraps every 26 h 30 m 43 s, and recorders restart it at will. Elsewhere a long gap is a picture
/// that stood still; a jump no one can have recorded is not.
struct Timeline {
    enum Step: Equatable {
        /// Ticks since the first frame.
        case at(Int64)
        /// Not later than a frame before: it is never shown.
        case outOfOrder
    }

    /// Seconds per tick.
    let tick: Double
    /// MPEG streams whose times may break off (AVFMT_TS_DISCONT).
    let mayBreak: Bool
    let maxGap: Double
    /// Ticks a frame lasts, for continuing after a break.
    let frameTicks: Int64
    private(set) var discontinuities = 0
    /// The first frame's own time.
    private(set) var origin: Int64?
    private var offset: Int64 = 0
    private var last: Int64 = 0

    init(tick: Double, mayBreak: Bool, maxGap: Double, frameTicks: Int64) {
        self.tick = tick
        self.mayBreak = mayBreak
        self.maxGap = maxGap
        self.frameTicks = max(1, frameTicks)
    }

    private static let wrap: Int64 = 1 << 33

    mutating func place(_ pts: Int64) -> Step {
        guard let origin else {
            self.origin = pts
            return .at(0)
        }
        // Files may say anything: a sum that overflows is a break as well.
        let (relative, overflow1) = pts.subtractingReportingOverflow(origin)
        let (time, overflow2) = relative.addingReportingOverflow(offset)
        if overflow1 || overflow2 { return breakOff(pts, origin) }
        let jump = Double(time) - Double(last)
        if jump * tick > (mayBreak ? 10 : maxGap) { return breakOff(pts, origin) }
        if time > last {
            last = time
            return .at(time)
        }
        if mayBreak, time < last {
            let wrapped = Double(time) + Double(Self.wrap) - Double(last)
            if wrapped > 0, wrapped * tick < 10 {
                offset += Self.wrap
                last = time + Self.wrap
                return .at(last)
            }
            return breakOff(pts, origin)
        }
        // Ten seconds back is a recording that starts over, not two frames in the wrong order.
        if jump * tick < -10 { return breakOff(pts, origin) }
        return .outOfOrder
    }

    private mutating func breakOff(_ pts: Int64, _ origin: Int64) -> Step {
        discontinuities += 1
        last += frameTicks
        offset = last &- (pts &- origin)
        return .at(last)
    }
}
