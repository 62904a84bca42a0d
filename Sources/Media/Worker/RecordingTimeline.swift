/// Maps the timestamps of a recording to seconds from its first frame, across the streams that show it.
///
/// A recording may consist of several pieces, one after the other in different streams. Each has a `Timeline`;
/// timestamps of all are in the time base of the first stream.
struct RecordingTimeline {
    /// A frame's position.
    struct Position {
        /// Seconds from the first frame.
        let seconds: Double
        /// Timestamp in the first stream's time base, unwrapped.
        let pts: Int64
    }

    /// What was wrong with the timestamps.
    struct Faults {
        fileprivate(set) var discontinuityCount = 0
        fileprivate(set) var discontinuities: [Timeline.Discontinuity] = []
        /// Number of frames whose times left the timeline and returned.
        fileprivate(set) var strayFrames = 0
        /// The timestamp that the first frame would have on the timeline, if its own is a stray.
        fileprivate(set) var firstOnTimeline: Int64?
    }

    private let timing: StreamTiming
    /// The timeline of the current piece.
    private var piece: Timeline
    /// Start of the current piece's timeline, in seconds.
    private var pieceOrigin = 0.0
    /// End of the piece before the current one, in seconds.
    private var previousEnd = 0.0
    /// True if the next frame is the first of its piece.
    private var isAtBoundary = false
    /// The last frame: its own timestamp, and its position in seconds.
    private var last: (pts: Int64, seconds: Double)?
    /// Seconds by which a piece may start before the end of the previous one; frames in that overlap are left out.
    private var overlap = 0.0
    /// Frames of the piece before this timestamp are left out.
    private var earliest: Int64?
    /// The timestamp of the first frame, if it was in an earlier piece.
    private var origin: Int64?
    private var earlierFaults = Faults()
    /// End of the last shown frame, in seconds.
    private(set) var end = 0.0

    init(_ timing: StreamTiming) {
        self.timing = timing
        piece = Timeline(timing)
    }

    /// The last frame: its own timestamp, and its position in seconds.
    var latest: (pts: Int64, seconds: Double)? { isAtBoundary ? nil : last }
    /// The timestamp of the first frame.
    var firstTimestamp: Int64? { origin ?? piece.origin }
    /// The faults in all pieces so far.
    var faults: Faults { faults(adding: piece) }

    private func faults(adding piece: Timeline) -> Faults {
        var faults = earlierFaults
        faults.discontinuities += piece.discontinuities.map { .init(time: $0.time + pieceOrigin, jump: $0.jump) }
        faults.discontinuityCount += piece.discontinuityCount
        faults.strayFrames += piece.strayFrames
        if origin == nil { faults.firstOnTimeline = piece.firstOnTimeline }
        return faults
    }

    /// Starts a piece: all later frames come from another stream.
    ///
    /// - Parameters:
    ///   - from: seconds on the container's clock; frames before it are left out.
    ///   - isMappable: true if the piece has a continuous clock that a scan of the file can map.
    mutating func beginPiece(from: Double?, isMappable: Bool) {
        earlierFaults = faults
        origin = origin ?? piece.origin
        // A clock that restarted steps back by about the length of the piece.
        overlap = min(10, (end - previousEnd) / 2)
        previousEnd = end
        earliest = from.map { Int64(saturating: ($0 / timing.unit - 0.5).rounded(.down)) }
        isAtBoundary = true
        piece = Timeline(timing, isMappable: isMappable)
    }

    /// True if the previous stream already had frames at this time: two recordings of one program overlap where they
    /// meet.
    func isBeforePiece(_ pts: Int64) -> Bool {
        if let earliest, pts < earliest { return true }
        guard isAtBoundary, let last else { return false }
        let ahead = timing.counter.step(from: pts, to: last.pts)
        return ahead >= 0 && timing.seconds(ahead) <= overlap
    }

    func needsMap(for pts: Int64) -> Bool { piece.needsMap(for: pts) }
    func jumpsAhead(to pts: Int64) -> Bool { piece.jumpsAhead(to: pts) }
    func refutes(jumpTo pending: Int64, next pts: Int64) -> Bool { piece.refutes(jumpTo: pending, next: pts) }
    mutating func use(_ map: TimeMap?) { piece.use(map) }

    /// Places a frame; nil if it is not later than an earlier one.
    mutating func place(_ pts: Int64) -> Position? {
        if isAtBoundary { placePiece(startingAt: pts) }
        guard let units = piece.place(pts) else { return nil }
        let seconds = pieceOrigin + timing.seconds(units)
        last = (pts, seconds)
        // Within the first frame's own piece nothing is rounded.
        let unwrapped = origin.map { $0 &+ timing.timeBase.units(seconds) } ?? (piece.origin ?? 0) &+ units
        return Position(seconds: seconds, pts: unwrapped)
    }

    /// Places a piece by its first frame: at its own time if that continues, else after the last frame.
    private mutating func placePiece(startingAt pts: Int64) {
        isAtBoundary = false
        guard let last else { return }
        let jump = timing.seconds(timing.counter.step(from: last.pts, to: pts))
        if jump > 0, jump <= timing.maxGap {
            pieceOrigin = last.seconds + jump
        } else {
            pieceOrigin = end
            earlierFaults.discontinuityCount += 1
            earlierFaults.discontinuities.append(.init(time: end, jump: abs(jump)))
        }
    }

    /// Sets the end of a frame at `seconds` that is shown for `duration` seconds.
    mutating func show(at seconds: Double, for duration: Double) { end = seconds + duration }

    /// Moves the end to that of a frame that is not placed, if it continues the recording.
    mutating func extend(to pts: Int64, for duration: Double) {
        guard let last else { return }
        let seconds = last.seconds + timing.seconds(timing.counter.step(from: last.pts, to: pts))
        // A wrong timestamp must not count as recorded time.
        if seconds >= last.seconds, seconds <= end + TimeMap.tolerance { end = max(end, seconds + duration) }
    }
}

extension RecordingTimeline {
    /// Adds the notes about discontinuities, and corrects the start if the first timestamps were strays.
    ///
    /// - Parameter otherStart: the earliest start of the file's other streams, in seconds.
    func describeFaults(in result: inout DecodeResult, otherStart: Double?) {
        let faults = self.faults
        let start = result.info.fileStart ?? 0
        if let first = faults.firstOnTimeline {
            // The container's start is the stray time, if it is the video's.
            let offset = otherStart.map { timing.seconds(first) - $0 } ?? 0
            result.info.fileStart = (0...timing.maxGap).contains(offset) ? offset : 0
        }
        if faults.strayFrames > 0 {
            result.note(
                "stray_times",
                counted(faults.strayFrames, "frame")
                    + " had times off the timeline, which then continued; they were placed by their order"
            )
        }
        result.counters.discontinuities = faults.discontinuityCount
        guard faults.discontinuityCount > 0 else { return }
        let found = counted(faults.discontinuityCount, "discontinuity", "discontinuities")
        let across = faults.discontinuityCount == 1 ? "it" : "each"
        var text = "the timestamps have \(found); the timeline continues across \(across)"
        var total = 0.0
        var parts: [String] = []
        for discontinuity in faults.discontinuities {
            total += discontinuity.jump
            // Rounded up, since it is a bound.
            let bound = Int(saturating: total.rounded(.up))
            parts.append("after \(Self.clock(discontinuity.time + start)) by up to \(bound) s")
        }
        if parts.count > 4 { parts = parts.prefix(3) + ["…"] + parts.suffix(1) }
        if !parts.isEmpty { text += "; times may be wrong " + parts.joined(separator: ", ") }
        result.note("discontinuity", text)
    }

    private static func clock(_ seconds: Double) -> String {
        let whole = Int(saturating: seconds.rounded())
        let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return hours > 0 ? "\(hours):\(two(minutes)):\(two(rest))" : "\(minutes):\(two(rest))"
    }
}
