/// The arithmetic of a stream's timestamps, with or without MPEG's 33-bit wraparound (AVStream.pts_wrap_bits).
struct TimestampCounter: Equatable {
    /// The wraparound period of MPEG's 33-bit counter; nil for other streams.
    let wrapPeriod: Int64?
    /// Seconds per unit of the time base.
    let unit: Double

    /// A wraparound with a pause longer than this, in seconds, is taken for a counter that was set.
    static let longestOverWrap = 900.0

    init(wrapPeriod: Int64?, unit: Double) {
        self.wrapPeriod = wrapPeriod
        self.unit = unit
    }

    /// Reduces a timestamp to the counter's range, or clamps it to a range that can be summed.
    func reduced(_ raw: Int64) -> Int64 {
        guard let wrapPeriod else { return min(max(raw, -(1 << 60)), 1 << 60) }
        let rest = raw % wrapPeriod
        return rest < 0 ? rest + wrapPeriod : rest
    }

    /// The difference of two timestamps, in units of the time base.
    func step(from: Int64, to: Int64) -> Int64 {
        let plain = reduced(to) - reduced(from)
        guard let wrapPeriod else { return plain }
        let wrapped = plain > 0 ? plain - wrapPeriod : plain + wrapPeriod
        return Double(abs(wrapped)) * unit <= Self.longestOverWrap ? wrapped : plain
    }

    /// The time within `run` that a timestamp stands for; nil if it lies outside.
    ///
    /// - Parameter near: of several times one wraparound period apart, the one nearest to this is returned.
    func time(_ raw: Int64, in run: TimeRun, near: Int64? = nil) -> Int64? {
        guard let wrapPeriod else {
            let time = reduced(raw)
            return run.lowest <= time && time <= run.highest ? time : nil
        }
        var ahead = (reduced(raw) - reduced(run.lowest)) % wrapPeriod
        if ahead < 0 { ahead += wrapPeriod }
        guard ahead <= run.highest - run.lowest else { return nil }
        if let near, near - run.lowest > ahead {
            let turns = (near - run.lowest - ahead + wrapPeriod / 2) / wrapPeriod
            if ahead + turns * wrapPeriod <= run.highest - run.lowest { ahead += turns * wrapPeriod }
        }
        return run.lowest + ahead
    }
}
