import Longtake

/// The attention over the range, as a line of small bars.
enum Sparkline {
    private static let bars = Array("▁▂▃▄▅▆▇█")
    static let width = 60

    /// The bars between the range's times, "00:00:00 ▁▁▂█▁ 00:10:00"; nil if there is no attention to show.
    static func text(_ answer: Answer) -> String? {
        guard answer.found, let line = bars(answer.attention), let first = answer.range.first,
            let last = answer.range.last
        else { return nil }
        return "\(TimeText.clock(first)) \(line) \(TimeText.clock(last))"
    }

    /// One bar per interval of frames, as high as its maximum; nil if there are no values or none is above 0.
    static func bars(_ values: [Float], width: Int = width) -> String? {
        guard let peak = values.max(), peak > 0, peak.isFinite else { return nil }
        let count = min(width, values.count)
        return String(
            (0..<count).map { index in
                let interval = values[index * values.count / count..<(index + 1) * values.count / count]
                let share = (interval.max() ?? 0) / peak
                return bars[min(bars.count - 1, Int(saturating: share * Float(bars.count - 1) + 0.5))]
            })
    }
}
