import Longtake

/// How much was looked at over the range, as a line of little bars.
enum Sparkline {
    private static let bars = Array("▁▂▃▄▅▆▇█")
    static let width = 60

    /// "00:00:00 ▁▁▂█▁ 00:10:00"; nil where there was nothing to look at.
    static func text(_ answer: Answer) -> String? {
        guard answer.found, let line = bars(answer.attention), let first = answer.range.first,
            let last = answer.range.last
        else { return nil }
        return "\(TimeText.clock(first)) \(line) \(TimeText.clock(last))"
    }

    /// One bar per stretch of frames, as high as its highest; nil of no numbers or none above 0.
    static func bars(_ values: [Float], width: Int = width) -> String? {
        guard let peak = values.max(), peak > 0, peak.isFinite else { return nil }
        let count = min(width, values.count)
        return String(
            (0..<count).map { place in
                let stretch = values[place * values.count / count..<(place + 1) * values.count / count]
                let share = (stretch.max() ?? 0) / peak
                return bars[min(bars.count - 1, Int(saturating: share * Float(bars.count - 1) + 0.5))]
            })
    }
}
