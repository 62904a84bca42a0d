/// All runs of a stream's timestamps, each with its position on one timeline.
struct TimeMap {
    /// What the file shows about a forward jump, apart from the stream's own timestamps.
    enum Evidence { case pause, jump, unknown }

    struct Limits {
        /// Units of the time base per second.
        let second: Double
        /// The longest pause, in seconds.
        let maxGap: Double
        /// Units between two frames.
        let period: Int64
        /// A longer step, in units, starts a new run.
        let longestStep: Int64
    }

    /// Frames that step back by at most this many seconds are out of order.
    static let tolerance = 10.0
    /// Maximum number of runs; files with more are not mapped.
    static let maximumRuns = 1 << 16
    /// Number of runs searched for a return to the timeline.
    private static let horizon = 256

    private(set) var runs: [TimeRun]
    let counter: TimestampCounter
    let limits: Limits

    /// - Parameter evidence: called for forward jumps within the longest pause, with the runs before and after and the
    ///   jump in units of the time base.
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

    private mutating func resolve(_ evidence: (TimeRun, TimeRun, Int64) -> Evidence) {
        guard var last = runs.first?.highest else { return }
        let back = Int64(saturating: (Self.tolerance * limits.second).rounded())
        let longest = limits.maxGap * limits.second
        // From a timestamp to the timeline.
        var offset: Int64 = 0
        // The run that came furthest on the timeline.
        var before = 0
        var index = 1
        while index < runs.count {
            let run = runs[index]
            let jump = run.start + offset - last
            let end = returning(from: index, offset: offset, last: last, jump: jump)
            if jump > -back, jump <= limits.longestStep, !(end == nil && restarts(run, jump)) {
                place(index, offset: offset, .timeline, &last)
            } else if let end {
                for stray in index..<end {
                    place(stray, offset: last + limits.period - runs[stray].start, .stray, &last)
                }
                place(end, offset: offset, .timeline, &last)
                index = end
            } else if jump > limits.longestStep, Double(jump) <= longest,
                evidence(runs[before], run, run.start - runs[before].highest) != .jump
            {
                place(index, offset: offset, .timeline, &last)
            } else {
                offset = last + limits.period - run.start
                place(index, offset: offset, .discontinuity(jump - limits.period), &last)
            }
            if runs[index].highest + offset == last { before = index }
            index += 1
        }
    }

    private mutating func place(_ index: Int, offset: Int64, _ kind: TimeRun.Kind, _ last: inout Int64) {
        runs[index].offset = offset
        runs[index].kind = kind
        last = max(last, runs[index].highest + offset)
    }

    /// The run at which the timeline continues as if nothing had happened; nil if it does not.
    ///
    /// The frames in between have used up their time: the timeline is expected where it would be by then.
    private func returning(from index: Int, offset: Int64, last: Int64, jump: Int64) -> Int? {
        // A step back within the tolerance leaves nothing to return to.
        guard jump > limits.longestStep || jump <= -Int64(saturating: Self.tolerance * limits.second) else {
            return nil
        }
        var shown: Int64 = 0
        for next in index + 1..<max(index + 1, min(runs.count, index + Self.horizon)) {
            shown += runs[next - 1].highest - runs[next - 1].lowest + limits.period
            // Runs of the timeline itself would only count the same time again.
            let steps = runs[next].start - runs[next - 1].highest
            guard jump > 0 ? steps < -limits.longestStep : steps > limits.longestStep else { continue }
            let late = runs[next].start + offset - last - limits.period - shown
            if abs(late) <= min(max(limits.longestStep, shown / 5), abs(jump) / 2) { return next }
        }
        return nil
    }

    /// True if a recording starts a second time, even if it was shorter than the tolerance.
    private func restarts(_ run: TimeRun, _ jump: Int64) -> Bool {
        guard let first = runs.first else { return false }
        return jump < 0 && run.startsWithKey && run.start <= first.lowest + limits.period
    }

    /// Marks a few frames at the start as strays if their times are unrelated to all others.
    private mutating func markStraysAtStart() {
        var (before, start) = (0, 0)
        for (index, run) in runs.enumerated() {
            if before > 16 { break }
            if case .discontinuity = run.kind, run.count >= 8 * before { start = index }
            before += run.count
        }
        guard start > 0 else { return }
        for index in 0..<start { runs[index].kind = .stray }
        runs[start].kind = .timeline
    }

    /// True if the run after `current` is a recording that starts again at this time.
    private func begins(_ raw: Int64, after current: Int) -> Bool {
        let next = current + 1
        guard runs.indices.contains(next), runs[next].startsWithKey, case .discontinuity = runs[next].kind else {
            return false
        }
        return counter.time(raw, in: runs[next]) == runs[next].start
    }

    /// The first run on the timeline.
    var timelineStart: TimeRun? { runs.first { $0.kind == .timeline } }
    var straysAtStart: Bool { runs.first.map { $0.kind == .stray } ?? false }

    /// The run of a frame with this timestamp, at or after `current`, and its time on the timeline.
    ///
    /// - Parameter before: the time of the previous frame in the same run; nil if there was none.
    func locate(_ raw: Int64, current: Int, before: Int64?) -> (run: Int, time: Int64)? {
        if runs.indices.contains(current), let time = counter.time(raw, in: runs[current], near: before) {
            // Times do not step back far within a run; such a step means a later run with the same times.
            if before.map({ time >= $0 - 2 * limits.longestStep && !(time < $0 && begins(raw, after: current)) })
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
