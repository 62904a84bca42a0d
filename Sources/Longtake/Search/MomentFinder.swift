/// Finds the intervals of frames with high scores.
package enum MomentFinder {
    /// Intervals with at most this many weaker frames between them are merged, as for evidence.
    static let gap = Evidence.gap

    /// Consecutive frames of one recording that form a moment.
    package struct Run: Equatable {
        /// Index of the recording in the scores.
        package let recording: Int
        /// Index of the first frame.
        package let first: Int
        /// Index of the last frame, included.
        package let last: Int
        /// Index of the frame with the highest score.
        package let best: Int
        /// The cosine of the best frame.
        package let score: Float

        /// A run with these frames.
        package init(recording: Int, first: Int, last: Int, best: Int, score: Float) {
            self.recording = recording
            self.first = first
            self.last = last
            self.best = best
            self.score = score
        }
    }

    /// The default minimum score: half way from the mean to the best, or 10 % below the best, whichever is lower.
    package static func threshold(best: Double, mean: Double) -> Double {
        min(mean + 0.5 * (best - mean), best - 0.1 * abs(best))
    }

    /// The minimum score of frames around a peak: three quarters up from the mean, or 10 % below the peak if lower.
    package static func floor(peak: Float, mean: Float) -> Float {
        min(mean + 0.75 * (peak - mean), peak - 0.1 * abs(peak))
    }

    /// The moments in the scores, best first; equal ones in the order of recordings and frames.
    ///
    /// - Parameters:
    ///   - recordings: one score per frame; NaN for a frame outside the range.
    ///   - mean: of all scores, to split runs around their peaks; nil: each run of frames with `threshold` or more is
    ///     one moment.
    package static func runs(
        _ recordings: [[Float]], threshold: Float, mean: Float? = nil, limit: Int
    ) -> [Run] {
        var found: [Run] = []
        for (recording, scores) in recordings.enumerated() {
            for range in intervals(scores, threshold) {
                let frames = range.filter { scores[$0] >= threshold }
                if let mean {
                    found += peaks(scores, range, frames, mean).map {
                        Run(recording: recording, first: $0.first, last: $0.last, best: $0.best, score: scores[$0.best])
                    }
                } else if let best = frames.max(by: { scores[$0] < scores[$1] }) {
                    let first = frames.first { scores[$0] == scores[best] } ?? best
                    found.append(
                        Run(
                            recording: recording, first: range.lowerBound, last: range.upperBound, best: first,
                            score: scores[first]))
                }
            }
        }
        found.sort { a, b in
            a.score != b.score ? a.score > b.score : (a.recording, a.first) < (b.recording, b.first)
        }
        return Array(found.prefix(limit))
    }

    /// Intervals of frames at or above the threshold, with at most `gap` weaker ones between them.
    private static func intervals(_ scores: [Float], _ threshold: Float) -> [ClosedRange<Int>] {
        var ranges: [ClosedRange<Int>] = []
        for (frame, score) in scores.enumerated() where score >= threshold {
            if let last = ranges.last, frame - last.upperBound <= gap + 1 {
                ranges[ranges.count - 1] = last.lowerBound...frame
            } else {
                ranges.append(frame...frame)
            }
        }
        return ranges
    }

    /// The peaks of an interval with the frames that nearly reach them; a slope up to a higher peak is not a moment.
    private static func peaks(
        _ scores: [Float], _ range: ClosedRange<Int>, _ frames: [Int], _ mean: Float
    ) -> [(first: Int, last: Int, best: Int)] {
        var found: [(first: Int, last: Int, best: Int)] = []
        var isTaken = [Bool](repeating: false, count: range.count)
        for peak in frames.sorted(by: { (scores[$1], $0) < (scores[$0], $1) }) {
            guard !isTaken[peak - range.lowerBound] else { continue }
            let floor = floor(peak: scores[peak], mean: mean)
            var isSlope = false
            func end(_ step: Int) -> Int {
                var (last, low, frame) = (peak, 0, peak + step)
                while range.contains(frame), low <= gap {
                    if isTaken[frame - range.lowerBound] {
                        isSlope = true
                        break
                    }
                    low = scores[frame] >= floor ? 0 : low + 1
                    if low == 0 { last = frame }
                    frame += step
                }
                return last
            }
            let (first, last) = (end(-1), end(1))
            for frame in first...last { isTaken[frame - range.lowerBound] = true }
            if !isSlope { found.append((first, last, peak)) }
        }
        return found
    }
}
