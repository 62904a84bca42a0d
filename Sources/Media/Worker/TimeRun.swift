/// Packets of one stream, one after another in the file, whose times follow each other without a jump.
struct TimeRun: Equatable {
    enum Kind: Equatable {
        /// On the line of times that the recording keeps.
        case line
        /// The times leave the line and come back to it: the frames go where their order puts them.
        case stray
        /// A new line; the jump to it is this many ticks and is not taken for a pause.
        case broken(Int64)
    }

    /// What another stream of the file says of the time, as the video's time less its own, in ticks of the video.
    struct Lead: Equatable {
        var atStart: Int64?
        var atEnd: Int64?
    }

    /// The first packet's bytes in the file, and those of the run's last packet; -1 where unknown.
    var position: Int64 = -1
    var lastPosition: Int64 = -1
    var startsWithKey = false
    /// The least time of the first few packets.
    var head: Int64
    var least: Int64
    var most: Int64
    var count = 1
    var leads: [Lead] = []
    var kind = Kind.line
    /// Added to a time of the stream, it is a time of the one line.
    var shift: Int64 = 0

    init(_ time: Int64) {
        head = time
        least = time
        most = time
    }
}

/// How the times of an MPEG stream are counted, or those of any other.
struct TimeCount: Equatable {
    /// MPEG's 33 bits; nil elsewhere.
    let turn: Int64?
    /// Seconds per tick.
    let tick: Double

    /// A wrap together with a pause longer than this is taken for a counter that was set, in seconds.
    static let longestOverWrap = 900.0

    init(turn: Int64?, tick: Double) {
        self.turn = turn
        self.tick = tick
    }

    /// Within the counter, or within what can be added up.
    func reduced(_ raw: Int64) -> Int64 {
        guard let turn else { return min(max(raw, -(1 << 60)), 1 << 60) }
        let rest = raw % turn
        return rest < 0 ? rest + turn : rest
    }

    /// Ticks from one time to another.
    func step(from: Int64, to: Int64) -> Int64 {
        let plain = reduced(to) - reduced(from)
        guard let turn else { return plain }
        let wrapped = plain > 0 ? plain - turn : plain + turn
        return Double(abs(wrapped)) * tick <= Self.longestOverWrap ? wrapped : plain
    }

    /// The time of `run` that a stream's time stands for; nil where it lies outside.
    ///
    /// - Parameter near: of several times a turn apart the one nearest to this.
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
