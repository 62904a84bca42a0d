/// Finds the stretches of frames that score well.
package enum MomentFinder {
    /// Stretches with at most so many weaker frames between them are one, as evidence's are.
    static let gap = Evidence.gap

    /// A run of frames of one recording.
    package struct Run: Equatable {
        package let recording: Int
        package let first: Int
        package let last: Int
        package let best: Int
        package let score: Float
    }

    /// The least score of a good frame where none was asked for: half way from the mean to the best, or within a tenth of
    /// the best, whichever is lower.
    package static func threshold(best: Double, mean: Double) -> Double {
        min((best + mean) / 2, best - 0.1 * abs(best))
    }

    /// The runs of frames with at least `threshold`, the best first; of equal ones those of earlier recordings and frames.
    ///
    /// - Parameter scores: frame by frame; NaN for one that was not looked at.
    package static func runs(_ recordings: [[Float]], threshold: Float, limit: Int) -> [Run] {
        var found: [Run] = []
        for (recording, scores) in recordings.enumerated() {
            var open: Run?
            for (frame, score) in scores.enumerated() where score >= threshold {
                if let run = open, frame - run.last <= gap + 1 {
                    let isBetter = score > run.score
                    open = Run(
                        recording: recording, first: run.first, last: frame, best: isBetter ? frame : run.best,
                        score: isBetter ? score : run.score)
                } else {
                    if let open { found.append(open) }
                    open = Run(recording: recording, first: frame, last: frame, best: frame, score: score)
                }
            }
            if let open { found.append(open) }
        }
        found.sort { a, b in
            a.score != b.score ? a.score > b.score : (a.recording, a.first) < (b.recording, b.first)
        }
        return Array(found.prefix(limit))
    }
}
