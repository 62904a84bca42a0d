/// The video streams to show one after the other, and a stream that continues but is not shown.
struct StreamPlan {
    typealias Run = StreamScan.Run

    /// In order, including the chosen stream's.
    private(set) var pieces: [Run] = []
    /// A stream outside `pieces` that has frames after the last piece, and their length in seconds.
    private(set) var left: (stream: Int, seconds: Double)?

    /// Maximum number of pieces, each of which is another pass over the file.
    static let maxPieces = 16

    /// Builds the plan from a scan of the file.
    ///
    /// - Parameter isDecodable: whether a stream can be decoded at all.
    init(_ scan: StreamScan, chosen: Int, isDecodable: (Int) -> Bool) {
        guard scan.runs.indices.contains(chosen) else { return }
        pieces = scan.runs[chosen]
        let others = scan.runs.filter { !$0.isEmpty && $0[0].stream != chosen }.sorted { $0[0].first < $1[0].first }
        var parallel: [(runs: [Run], sameTime: Bool)] = []
        for other in others {
            let added = Self.between(pieces, other, skewed: scan.isOrderedByPosition)
            guard let added, isDecodable(other[0].stream) else {
                parallel.append((other, added == nil))
                continue
            }
            pieces = (pieces + added).sorted {
                ($0.first, $0.stream == chosen ? 0 : 1) < ($1.first, $1.stream == chosen ? 0 : 1)
            }
        }
        guard let end = pieces.max(by: { $0.last < $1.last }) else { return }
        let length = pieces.reduce(0) { $0 + $1.length }
        for (runs, sameTime) in parallel {
            var seconds = runs.reduce(0.0) { $0 + $1.length(from: end.last) } - end.shown
            if sameTime, let last = runs.last { seconds = min(seconds, last.end - end.end) }
            // Recorders do not end all their streams at the same time.
            if seconds >= max(StreamScan.alone, 0.01 * length), seconds > left?.seconds ?? 0 {
                left = (runs[0].stream, seconds)
            }
        }
    }

    /// The parts of `other` between and around `pieces`; nil for a stream that runs in parallel with them.
    ///
    /// - Parameter skewed: whether packets may precede those of the same time in the file by several frames.
    private static func between(_ pieces: [Run], _ other: [Run], skewed: Bool) -> [Run]? {
        let length = other.reduce(0) { $0 + $1.length }
        var overlap = 0.0
        var out: [Run] = []
        for run in other {
            var run = run
            var mine = 0.0
            for piece in pieces where piece.last >= run.first && piece.first <= run.last {
                if run.length(to: piece.first) >= StreamScan.alone, run.length(from: piece.last) >= StreamScan.alone {
                    return nil
                }
                mine += run.length(to: piece.last) - run.length(to: piece.first)
            }
            let before = pieces.last { $0.last < run.first }
            if skewed, let before, run.length <= 5 * before.step { return nil }
            overlap += mine
            guard run.length - mine >= 1 else { continue }
            // The frames before the next piece come first; those at the same time are left out by their times.
            if let next = pieces.filter({ $0.first > run.first && $0.first <= run.last }).map(\.first).min() {
                run.length = run.length(to: next)
                run.last = next - 1
            }
            out.append(run)
        }
        return overlap <= max(1, min(10, 0.2 * length)) ? out : nil
    }
}

extension StreamScan.Run {
    /// Seconds of the run before `key`, assuming evenly spread frames.
    fileprivate func length(to key: Int64) -> Double {
        guard last > first else { return key > first ? length : 0 }
        return length * min(1, max(0, (Double(key) - Double(first)) / (Double(last) - Double(first))))
    }

    fileprivate func length(from key: Int64) -> Double { length - length(to: key) }
}
