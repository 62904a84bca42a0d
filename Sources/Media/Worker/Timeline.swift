/// Converts a stream's timestamps to a timeline that only increases, from 0 at the first presented frame.
///
/// Small steps are decided immediately. At the first large step the timestamps of the whole file are scanned
/// (`TimeMap`), because only later ones distinguish a pause from a counter that was set.
struct Timeline {
    enum Step: Equatable {
        /// Ticks since the first frame.
        case at(Int64)
        /// Not later than an earlier frame: never shown.
        case outOfOrder
    }

    /// A discontinuity that is not a pause: its position on the timeline and its length, in seconds.
    struct Break: Equatable {
        let at: Double
        let by: Double
    }

    /// Seconds per tick.
    let tick: Double
    let maxGap: Double
    /// Ticks per frame, used to continue after a discontinuity.
    let frameTicks: Int64
    let count: TimeCount
    private(set) var discontinuities = 0
    private(set) var breaks: [Break] = []
    /// Number of frames whose times left the timeline and returned.
    private(set) var strays = 0
    /// The first frame's own timestamp.
    private(set) var origin: Int64?
    private(set) var map: TimeMap?
    /// True if no map can be made.
    private var blind = false
    private var run = 0
    /// Time of the first frame on the map's timeline.
    private var lineOrigin: Int64 = 0
    private var lastInRun: Int64?
    private var offset: Int64 = 0
    /// The last frame's own timestamp.
    private var lastRaw: Int64 = 0
    /// The latest time on the timeline.
    private var last: Int64 = 0

    init(tick: Double, counts33Bits: Bool, maxGap: Double, frameTicks: Int64) {
        self.tick = tick
        self.maxGap = maxGap
        self.frameTicks = max(1, frameTicks)
        count = TimeCount(turn: counts33Bits ? 1 << 33 : nil, tick: tick)
    }

    /// Position of a timestamp on the timeline, by small steps alone.
    private func plain(_ pts: Int64) -> Int64 {
        last &+ count.step(from: lastRaw, to: pts)
    }

    /// True if only the rest of the file can tell what a frame's timestamp means.
    func needsMap(for pts: Int64) -> Bool {
        guard map == nil, !blind, let origin else { return false }
        let step = count.step(from: lastRaw, to: pts)
        if step > 0 { return Double(step) > min(max(1 / tick, 8 * Double(frameTicks)), TimeMap.tolerance / tick) }
        return Double(-step) * tick > TimeMap.tolerance
            || -step >= frameTicks && count.step(from: origin, to: pts) <= frameTicks
    }

    /// True if a frame comes so much later than the previous one that the next frame has to confirm it.
    func leaps(_ pts: Int64) -> Bool {
        origin != nil && Double(count.step(from: lastRaw, to: pts)) > 1.5 * Double(frameTicks)
    }

    /// True if the next frame lies between the previous frame and the one that leapt: the leap was one wrong timestamp.
    func takesBack(_ leapt: Int64, next pts: Int64) -> Bool {
        count.step(from: lastRaw, to: pts) > 0 && count.step(from: leapt, to: pts) < 0
    }

    /// Uses the file's map from here on; nil means that only the rules for small steps apply.
    mutating func follow(_ map: TimeMap?) {
        guard let map, let origin, let first = map.locate(origin, current: 0, before: nil) else {
            blind = true
            return
        }
        self.map = map
        (run, lineOrigin) = (first.run, first.time)
        if let now = map.locate(lastRaw, current: run, before: first.time - map.runs[run].shift + last) {
            run = now.run
            lastInRun = now.time - map.runs[run].shift
        }
        if map.runs[run].kind == .stray { strays += 1 }
    }

    /// The timestamp at the first frame on the stream's own count, if that frame's timestamp is a stray; nil otherwise.
    var firstOnLine: Int64? {
        guard let map, let start = map.lineStart, map.straysAtStart else { return nil }
        return lineOrigin - start.shift
    }

    mutating func place(_ pts: Int64) -> Step {
        guard origin != nil else {
            origin = pts
            lastRaw = pts
            return .at(0)
        }
        if let map, let (found, time) = map.locate(pts, current: run, before: lastInRun) {
            return place(pts, run: found, at: time - lineOrigin, map)
        }
        let step = count.step(from: lastRaw, to: pts)
        // Without a map, a jump beyond the limits is a discontinuity.
        let jump = Double(step) * tick
        if jump > (count.turn == nil ? maxGap : TimeMap.tolerance) || jump < -TimeMap.tolerance {
            discontinuities += 1
            breaks.append(Break(at: Double(last) * tick, by: abs(jump)))
            last += frameTicks
            lastRaw = pts
            return .at(last)
        }
        guard step > 0 else { return .outOfOrder }
        last += step
        lastRaw = pts
        return .at(last)
    }

    private mutating func place(_ pts: Int64, run found: Int, at time: Int64, _ map: TimeMap) -> Step {
        if found > run {
            for passed in run + 1...found {
                if case .broken(let by) = map.runs[passed].kind {
                    discontinuities += 1
                    breaks.append(Break(at: Double(last) * tick, by: abs(Double(by)) * tick))
                }
            }
            let isStray = map.runs[found].kind == .stray
            if isStray || map.runs[run].kind == .stray { discontinuities += 1 }
            run = found
        }
        if map.runs[found].kind == .stray { strays += 1 }
        if found == run { lastInRun = time + lineOrigin - map.runs[run].shift }
        guard time > last else { return .outOfOrder }
        (last, lastRaw) = (time, pts)
        return .at(time)
    }
}
