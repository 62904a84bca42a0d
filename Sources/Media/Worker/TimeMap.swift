/// All runs of a stream's timestamps, each with its position on one timeline.
struct TimeMap {
    /// What the file shows about a forward jump, apart from the stream's own timestamps.
    enum Evidence { case pause, jump, unknown }

    struct Limits {
        /// Ticks per second.
        let second: Double
        /// The longest pause, in seconds.
        let maxGap: Double
        /// Ticks between two frames.
        let period: Int64
        /// A longer step, in ticks, starts a new run.
        let longestStep: Int64
    }

    /// Frames that step back by at most this many seconds are out of order.
    static let tolerance = 10.0
    /// Maximum number of runs; files with more are not mapped.
    static let maximumRuns = 1 << 16
    /// Number of runs searched for a return to the timeline.
    private static let horizon = 256

    private(set) var runs: [TimeRun]
    let count: TimeCount
    let limits: Limits

    /// - Parameter evidence: called for forward jumps within the longest pause, with the runs before and after and the
    ///   jump in ticks.
    init(
        _ runs: [TimeRun], count: TimeCount, limits: Limits,
        evidence: (TimeRun, TimeRun, Int64) -> Evidence = { _, _, _ in .unknown }
    ) {
        self.runs = runs
        self.count = count
        self.limits = limits
        resolve(evidence)
        nameStraysAtStart()
    }

    private mutating func resolve(_ evidence: (TimeRun, TimeRun, Int64) -> Evidence) {
        guard var last = runs.first?.most else { return }
        let back = Int64(saturating: (Self.tolerance * limits.second).rounded())
        let longest = limits.maxGap * limits.second
        var line: Int64 = 0
        // The run that came furthest on the timeline.
        var before = 0
        var index = 1
        while index < runs.count {
            let run = runs[index]
            let jump = run.head + line - last
            let end = returning(from: index, line: line, last: last, jump: jump)
            if jump > -back, jump <= limits.longestStep, !(end == nil && startsOver(run, jump)) {
                place(index, shift: line, .line, &last)
            } else if let end {
                for stray in index..<end {
                    place(stray, shift: last + limits.period - runs[stray].head, .stray, &last)
                }
                place(end, shift: line, .line, &last)
                index = end
            } else if jump > limits.longestStep, Double(jump) <= longest,
                evidence(runs[before], run, run.head - runs[before].most) != .jump
            {
                place(index, shift: line, .line, &last)
            } else {
                line = last + limits.period - run.head
                place(index, shift: line, .broken(jump - limits.period), &last)
            }
            if runs[index].most + line == last { before = index }
            index += 1
        }
    }

    private mutating func place(_ index: Int, shift: Int64, _ kind: TimeRun.Kind, _ last: inout Int64) {
        runs[index].shift = shift
        runs[index].kind = kind
        last = max(last, runs[index].most + shift)
    }

    /// The run at which the timeline continues as if nothing had happened; nil if it does not.
    ///
    /// The frames in between have used up their time: the timeline is expected where it would be by then.
    private func returning(from index: Int, line: Int64, last: Int64, jump: Int64) -> Int? {
        // A step back within the tolerance leaves nothing to return to.
        guard jump > limits.longestStep || jump <= -Int64(saturating: Self.tolerance * limits.second) else {
            return nil
        }
        var shown: Int64 = 0
        for next in index + 1..<max(index + 1, min(runs.count, index + Self.horizon)) {
            shown += runs[next - 1].most - runs[next - 1].least + limits.period
            // Runs of the timeline itself would only count the same time again.
            let steps = runs[next].head - runs[next - 1].most
            guard jump > 0 ? steps < -limits.longestStep : steps > limits.longestStep else { continue }
            let late = runs[next].head + line - last - limits.period - shown
            if abs(late) <= min(max(limits.longestStep, shown / 5), abs(jump) / 2) { return next }
        }
        return nil
    }

    /// True if a recording starts a second time, even if it was shorter than the tolerance.
    private func startsOver(_ run: TimeRun, _ jump: Int64) -> Bool {
        guard let first = runs.first else { return false }
        return jump < 0 && run.startsWithKey && run.head <= first.least + limits.period
    }

    /// Marks a few frames at the start as strays if their times are unrelated to all others.
    private mutating func nameStraysAtStart() {
        var (before, start) = (0, 0)
        for (index, run) in runs.enumerated() {
            if before > 16 { break }
            if case .broken = run.kind, run.count >= 8 * before { start = index }
            before += run.count
        }
        guard start > 0 else { return }
        for index in 0..<start { runs[index].kind = .stray }
        runs[start].kind = .line
    }

    /// True if the run after `current` is a recording that starts again at this time.
    private func begins(_ raw: Int64, after current: Int) -> Bool {
        let next = current + 1
        guard runs.indices.contains(next), runs[next].startsWithKey, case .broken = runs[next].kind else {
            return false
        }
        return count.time(raw, in: runs[next]) == runs[next].head
    }

    /// The first run on the timeline.
    var lineStart: TimeRun? { runs.first { $0.kind == .line } }
    var straysAtStart: Bool { runs.first.map { $0.kind == .stray } ?? false }

    /// The run of a frame with this timestamp, at or after `current`, and its time on the timeline.
    ///
    /// - Parameter before: the time of the previous frame in the same run; nil if there was none.
    func locate(_ raw: Int64, current: Int, before: Int64?) -> (run: Int, time: Int64)? {
        if runs.indices.contains(current), let time = count.time(raw, in: runs[current], near: before) {
            // Times do not step back far within a run; such a step means a later run with the same times.
            if before.map({ time >= $0 - 2 * limits.longestStep && !(time < $0 && begins(raw, after: current)) })
                ?? true
            {
                return (current, time + runs[current].shift)
            }
        }
        for index in max(current + 1, 0)..<max(current + 1, runs.count) {
            if let time = count.time(raw, in: runs[index]) { return (index, time + runs[index].shift) }
        }
        // A frame that the decoder returned late.
        for index in stride(from: min(current, runs.count - 1), through: max(0, current - 8), by: -1) {
            if let time = count.time(raw, in: runs[index]) { return (index, time + runs[index].shift) }
        }
        return nil
    }
}
