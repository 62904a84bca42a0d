/// Consecutive packets of one stream whose timestamps follow each other without a jump.
struct TimeRun: Equatable {
    enum Kind: Equatable {
        /// On the timeline that the recording keeps.
        case line
        /// The times leave the timeline and return to it; the frames are put in file order.
        case stray
        /// A new timeline; the jump to it in ticks, which is not taken for a pause.
        case broken(Int64)
    }

    /// Another stream's timing relative to the video: the video's time minus its own, in ticks of the video.
    struct Lead: Equatable {
        var atStart: Int64?
        var atEnd: Int64?
    }

    /// File position of the first packet; -1 if unknown.
    var position: Int64 = -1
    /// File position of the run's last packet; -1 if unknown.
    var lastPosition: Int64 = -1
    var startsWithKey = false
    /// The lowest time of the first few packets.
    var head: Int64
    var least: Int64
    var most: Int64
    var count = 1
    var leads: [Lead] = []
    var kind = Kind.line
    /// Offset from a timestamp of the stream to the timeline.
    var shift: Int64 = 0

    init(_ time: Int64) {
        head = time
        least = time
        most = time
    }
}

/// The arithmetic of a stream's timestamps, with or without MPEG's 33-bit wraparound.
struct TimeCount: Equatable {
    /// The wraparound period of MPEG's 33-bit counter; nil for other streams.
    let turn: Int64?
    /// Seconds per tick.
    let tick: Double

    /// A wraparound with a pause longer than this, in seconds, is taken for a counter that was set.
    static let longestOverWrap = 900.0

    init(turn: Int64?, tick: Double) {
        self.turn = turn
        self.tick = tick
    }

    /// Reduces a timestamp to the counter's range, or clamps it to a range that can be summed.
    func reduced(_ raw: Int64) -> Int64 {
        guard let turn else { return min(max(raw, -(1 << 60)), 1 << 60) }
        let rest = raw % turn
        return rest < 0 ? rest + turn : rest
    }

    /// Ticks from one timestamp to another.
    func step(from: Int64, to: Int64) -> Int64 {
        let plain = reduced(to) - reduced(from)
        guard let turn else { return plain }
        let wrapped = plain > 0 ? plain - turn : plain + turn
        return Double(abs(wrapped)) * tick <= Self.longestOverWrap ? wrapped : plain
    }

    /// The time within `run` that a timestamp stands for; nil if it lies outside.
    ///
    /// - Parameter near: of several times one wraparound period apart, the one nearest to this is returned.
    func time(_ raw: Int64, in run: TimeRun, near: Int64? = nil) -> Int64? {
        guard let turn else {
            let time = reduced(raw)
            return run.least <= time && time <= run.most ? time : nil
        }
        var ahead = (reduced(raw) - reduced(run.least)) % turn
        if ahead < 0 { ahead += turn }
        guard ahead <= run.most - run.least else { return nil }
        if let near, near - run.least > ahead {
            let turns = (near - run.least - ahead + turn / 2) / turn
            if ahead + turns * turn <= run.most - run.least { ahead += turns * turn }
        }
        return run.least + ahead
    }
}
