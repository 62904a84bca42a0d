/// All runs of a stream's timestamps, each with its offset to one timeline.
///
/// Times are in units of the stream's time base unless stated otherwise.
struct TimeMap {
    /// What the file shows about a forward jump, apart from the stream's own timestamps.
    enum Evidence { case pause, jump, unknown }

    /// What counts as a pause or a jump in this stream.
    struct Limits {
        /// Units of the time base per second.
        let second: Double
        /// The longest pause, in seconds.
        let maxGap: Double
        /// Typical time between two frames.
        let period: Int64
        /// A longer step starts a new run.
        let longestStep: Int64
    }

    /// Frames that step back by at most this many seconds are out of order.
    static let tolerance = 10.0
    /// Maximum number of runs; files with more are not mapped.
    static let maximumRuns = 1 << 16
    /// Maximum number of runs searched for a return to the timeline.
    private static let horizon = 256

    private(set) var runs: [TimeRun]
    let counter: TimestampCounter
    let limits: Limits

    /// - Parameter evidence: called for forward jumps within the longest pause, with the runs before and after and the
    ///   size of the jump.
    init(
        _ runs: [TimeRun], counter: TimestampCounter, limits: Limits,
        evidence: (TimeRun, TimeRun, Int64) -> Evidence = { _, _, _ in .unknown }
    ) {
        self.runs = runs
        self.counter = counter
        self.limits = limits
        resolve(evidence)
        markStraysAtStart()
    }

    /// Sets the kind and offset of every run, in file order.
    private mutating func resolve(_ evidence: (TimeRun, TimeRun, Int64) -> Evidence) {
        guard var last = runs.first?.highest else { return }
        let maxStepBack = Int64(saturating: (Self.tolerance * limits.second).rounded())
        let maxPause = limits.maxGap * limits.second
        // The current offset from a timestamp to the timeline.
        var offset: Int64 = 0
        // The run whose end is the latest on the timeline.
        var latest = 0
        var index = 1
        while index < runs.count {
            let run = runs[index]
            let jump = run.start + offset - last
            let resumed = indexOfReturn(from: index, offset: offset, last: last, jump: jump)
            if jump > -maxStepBack, jump <= limits.longestStep, !(resumed == nil && restarts(run, jump)) {
                place(index, offset: offset, .timeline, &last)
            } else if let resumed {
                for stray in index..<resumed {
                    place(stray, offset: last + limits.period - runs[stray].start, .stray, &last)
                }
                place(resumed, offset: offset, .timeline, &last)
                index = resumed
            } else if jump > limits.longestStep, Double(jump) <= maxPause,
                evidence(runs[latest], run, run.start - runs[latest].highest) != .jump
            {
                place(index, offset: offset, .timeline, &last)
            } else {
                offset = last + limits.period - run.start
                place(index, offset: offset, .discontinuity(jump - limits.period), &last)
            }
            if runs[index].highest + offset == last { latest = index }
            index += 1
        }
    }

    /// Sets a run's offset and kind, and advances `last`, the end of the timeline so far.
    private mutating func place(_ index: Int, offset: Int64, _ kind: TimeRun.Kind, _ last: inout Int64) {
        runs[index].offset = offset
        runs[index].kind = kind
        last = max(last, runs[index].highest + offset)
    }

    /// The index of the run at which the timeline continues after stray runs; nil if it does not continue.
    ///
    /// It is expected to continue after the duration of the stray frames, since they were recorded meanwhile.
    private func indexOfReturn(from index: Int, offset: Int64, last: Int64, jump: Int64) -> Int? {
        // A step back within the tolerance leaves nothing to return to.
        guard jump > limits.longestStep || jump <= -Int64(saturating: Self.tolerance * limits.second) else {
            return nil
        }
        var strayDuration: Int64 = 0
        for next in index + 1..<max(index + 1, min(runs.count, index + Self.horizon)) {
            strayDuration += runs[next - 1].highest - runs[next - 1].lowest + limits.period
            // A return is a jump in the opposite direction.
            let step = runs[next].start - runs[next - 1].highest
            guard jump > 0 ? step < -limits.longestStep : step > limits.longestStep else { continue }
            let deviation = runs[next].start + offset - last - limits.period - strayDuration
            if abs(deviation) <= min(max(limits.longestStep, strayDuration / 5), abs(jump) / 2) { return next }
        }
        return nil
    }

    /// True if the run starts the recording again: a step back to its first time, with a key frame.
    ///
    /// Distinguishes a recording shorter than the tolerance that repeats from frames out of order.
    private func restarts(_ run: TimeRun, _ jump: Int64) -> Bool {
        guard let first = runs.first else { return false }
        return jump < 0 && run.startsWithKey && run.start <= first.lowest + limits.period
    }

    /// Marks the runs before a discontinuity as strays if they have at most 16 frames together.
    ///
    /// The run at the discontinuity must have at least 8 times as many frames.
    private mutating func markStraysAtStart() {
        var (framesBefore, start) = (0, 0)
        for (index, run) in runs.enumerated() {
            if framesBefore > 16 { break }
            if case .discontinuity = run.kind, run.count >= 8 * framesBefore { start = index }
            framesBefore += run.count
        }
        guard start > 0 else { return }
        for index in 0..<start { runs[index].kind = .stray }
        runs[start].kind = .timeline
    }

    /// True if the run after `current` is a discontinuity with a key frame that starts at timestamp `raw`.
    private func nextStarts(_ raw: Int64, after current: Int) -> Bool {
        let next = current + 1
        guard runs.indices.contains(next), runs[next].startsWithKey, case .discontinuity = runs[next].kind else {
            return false
        }
        return counter.time(raw, in: runs[next]) == runs[next].start
    }

    /// The first run on the timeline.
    var timelineStart: TimeRun? { runs.first { $0.kind == .timeline } }
    /// True if the file starts with stray frames.
    var straysAtStart: Bool { runs.first.map { $0.kind == .stray } ?? false }

    /// The run of a frame with timestamp `raw` and the frame's time on the timeline; nil if no run fits.
    ///
    /// Searches the runs from `current` on, then `current` and the 8 runs before it.
    ///
    /// - Parameter before: the time of the previous frame in the same run, without the offset; nil for the first.
    func locate(_ raw: Int64, current: Int, before: Int64?) -> (run: Int, time: Int64)? {
        if runs.indices.contains(current), let time = counter.time(raw, in: runs[current], near: before) {
            // Times do not step back far within a run; a frame that does is in a later run with the same times.
            if before.map({ time >= $0 - 2 * limits.longestStep && !(time < $0 && nextStarts(raw, after: current)) })
                ?? true
            {
                return (current, time + runs[current].offset)
            }
        }
        for index in max(current + 1, 0)..<max(current + 1, runs.count) {
            if let time = counter.time(raw, in: runs[index]) { return (index, time + runs[index].offset) }
        }
        // A frame that the decoder returned late.
        for index in stride(from: min(current, runs.count - 1), through: max(0, current - 8), by: -1) {
            if let time = counter.time(raw, in: runs[index]) { return (index, time + runs[index].offset) }
        }
        return nil
    }
}
