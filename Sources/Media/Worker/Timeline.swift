/// Converts a stream's timestamps to a timeline that only increases, from 0 at the first presented frame.
///
/// Small steps are decided immediately. At the first large step the timestamps of the whole file are scanned
/// (`TimeMap`), because only later ones distinguish a pause from a counter that was set.
struct Timeline {
    /// A discontinuity that is not a pause: its position on the timeline and its length, in seconds.
    struct Discontinuity: Equatable {
        let time: Double
        let jump: Double
    }

    private let timing: StreamTiming
    private let counter: TimestampCounter
    /// Number of discontinuities, including those at which stray frames begin or end.
    private(set) var discontinuityCount = 0
    private(set) var discontinuities: [Discontinuity] = []
    /// Number of frames whose times left the timeline and returned.
    private(set) var strayFrames = 0
    /// The first frame's own timestamp.
    private(set) var origin: Int64?
    private var map: TimeMap?
    /// True if no map can be made.
    private var isUnmappable: Bool
    private var run = 0
    /// Time of the first frame on the map's timeline.
    private var mapOrigin: Int64 = 0
    private var lastInRun: Int64?
    /// The last frame's own timestamp.
    private var lastRaw: Int64 = 0
    /// The latest time on the timeline.
    private var last: Int64 = 0

    /// - Parameter isMappable: false if a scan of the file does not help; then only the rules for small steps apply.
    init(_ timing: StreamTiming, isMappable: Bool = true) {
        self.timing = timing
        counter = timing.counter
        isUnmappable = !isMappable
    }

    /// True if only the rest of the file can tell what a frame's timestamp means.
    func needsMap(for pts: Int64) -> Bool {
        guard map == nil, !isUnmappable, let origin else { return false }
        let (unit, frame) = (timing.unit, timing.frameDuration)
        let step = counter.step(from: lastRaw, to: pts)
        if step > 0 { return Double(step) > min(max(1 / unit, 8 * Double(frame)), TimeMap.tolerance / unit) }
        return Double(-step) * unit > TimeMap.tolerance
            || -step >= frame && counter.step(from: origin, to: pts) <= frame
    }

    /// True if a frame comes so much later than the previous one that the next frame has to confirm it.
    func jumpsAhead(to pts: Int64) -> Bool {
        origin != nil && Double(counter.step(from: lastRaw, to: pts)) > 1.5 * Double(timing.frameDuration)
    }

    /// True if the next frame lies between the previous frame and the one that jumped ahead: the jump was one wrong
    /// timestamp.
    func refutes(jumpTo pending: Int64, next pts: Int64) -> Bool {
        counter.step(from: lastRaw, to: pts) > 0 && counter.step(from: pending, to: pts) < 0
    }

    /// Uses the file's map from here on; nil means that only the rules for small steps apply.
    mutating func use(_ map: TimeMap?) {
        guard let map, let origin, let first = map.locate(origin, current: 0, before: nil) else {
            isUnmappable = true
            return
        }
        self.map = map
        (run, mapOrigin) = (first.run, first.time)
        if let now = map.locate(lastRaw, current: run, before: first.time - map.runs[run].offset + last) {
            run = now.run
            lastInRun = now.time - map.runs[run].offset
        }
        if map.runs[run].kind == .stray { strayFrames += 1 }
    }

    /// The timestamp that the first frame would have on the timeline, if its own is a stray; nil otherwise.
    var firstOnTimeline: Int64? {
        guard let map, let start = map.timelineStart, map.straysAtStart else { return nil }
        return mapOrigin - start.offset
    }

    /// Places a frame on the timeline, in units from the first frame; nil if it is not later than an earlier one.
    mutating func place(_ pts: Int64) -> Int64? {
        guard origin != nil else {
            origin = pts
            lastRaw = pts
            return 0
        }
        if let map, let (found, time) = map.locate(pts, current: run, before: lastInRun) {
            return place(pts, run: found, at: time - mapOrigin, map)
        }
        let step = counter.step(from: lastRaw, to: pts)
        // Without a map, a jump beyond the limits is a discontinuity.
        let jump = Double(step) * timing.unit
        if jump > (counter.wrapPeriod == nil ? timing.maxGap : TimeMap.tolerance) || jump < -TimeMap.tolerance {
            addDiscontinuity(jump)
            last += timing.frameDuration
            lastRaw = pts
            return last
        }
        guard step > 0 else { return nil }
        last += step
        lastRaw = pts
        return last
    }

    private mutating func place(_ pts: Int64, run found: Int, at time: Int64, _ map: TimeMap) -> Int64? {
        if found > run {
            for passed in run + 1...found {
                if case .discontinuity(let jump) = map.runs[passed].kind {
                    addDiscontinuity(Double(jump) * timing.unit)
                }
            }
            let isStray = map.runs[found].kind == .stray
            if isStray || map.runs[run].kind == .stray { discontinuityCount += 1 }
            run = found
        }
        if map.runs[found].kind == .stray { strayFrames += 1 }
        if found == run { lastInRun = time + mapOrigin - map.runs[run].offset }
        guard time > last else { return nil }
        (last, lastRaw) = (time, pts)
        return time
    }

    private mutating func addDiscontinuity(_ jump: Double) {
        discontinuityCount += 1
        discontinuities.append(Discontinuity(time: Double(last) * timing.unit, jump: abs(jump)))
    }
}
