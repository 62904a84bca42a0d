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

        package init(recording: Int, first: Int, last: Int, best: Int, score: Float) {
            self.recording = recording
            self.first = first
            self.last = last
            self.best = best
            self.score = score
        }
    }

    /// The least score of a frame worth showing where none was asked for: half way from the mean to the best, or nine tenths
    /// of the best, whichever is lower.
    package static func threshold(best: Double, mean: Double) -> Double {
        min(mean + 0.5 * (best - mean), best - 0.1 * abs(best))
    }

    /// The least score of a frame that belongs to the same moment as a frame of score `peak`: three quarters of the way.
    package static func floor(peak: Float, mean: Float) -> Float {
        min(mean + 0.75 * (peak - mean), peak - 0.1 * abs(peak))
    }

    /// The moments in the scores, the best first; of equal ones those of earlier recordings and frames.
    ///
    /// - Parameters:
    ///   - scores: frame by frame; NaN for one that was not looked at.
    ///   - mean: of all scores, for moments around peaks; nil: each run of frames with `threshold` or more is one moment.
    package static func runs(
        _ recordings: [[Float]], threshold: Float, mean: Float? = nil, limit: Int
    ) -> [Run] {
        var found: [Run] = []
        for (recording, scores) in recordings.enumerated() {
            for range in stretches(scores, threshold) {
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

    /// Where frames reach the threshold, with at most `gap` weaker ones between them.
    private static func stretches(_ scores: [Float], _ threshold: Float) -> [ClosedRange<Int>] {
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

    /// The peaks of a stretch with the frames that nearly reach them; what leads up to a higher peak is no moment of its own.
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
