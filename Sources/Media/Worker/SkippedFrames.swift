/// Frames that are left out before they are decoded, and those that the decoder still owes.
///
/// Skipped frames keep their place in the order of presentation, so that the timeline is the same as if all frames were
/// decoded.
struct SkippedFrames {
    struct Skipped {
        let pts: Int64
        /// In units of the time base; 0 if unknown.
        let duration: Int64
    }

    /// Ascending by time.
    private var skipped: [Skipped] = []
    private var first = 0
    /// Timestamps of the frames sent to the decoder, ascending.
    private var expected: [Int64] = []
    /// True once a frame was skipped.
    private(set) var hasAny = false
    /// True while every frame that the decoder returns is compared with what was sent.
    var isTracking = false

    mutating func skip(_ pts: Int64, duration: Int64) {
        hasAny = true
        var index = skipped.count
        while index > first, skipped[index - 1].pts > pts { index -= 1 }
        skipped.insert(Skipped(pts: pts, duration: duration), at: index)
    }

    mutating func expect(_ pts: Int64) {
        var index = expected.count
        while index > 0, expected[index - 1] > pts { index -= 1 }
        expected.insert(pts, at: index)
    }

    /// Returns false if a decoded frame is not the next one that was sent.
    mutating func confirm(_ pts: Int64) -> Bool {
        guard expected.first == pts else { return false }
        expected.removeFirst()
        return true
    }

    /// True if every frame that was sent has come.
    var isSettled: Bool { expected.isEmpty }

    /// Takes the next skipped frame shown before `pts`; any with nil.
    mutating func next(before pts: Int64?) -> Skipped? {
        guard first < skipped.count, pts.map({ skipped[first].pts < $0 }) ?? true else { return nil }
        defer {
            first += 1
            if first == skipped.count { (skipped, first) = ([], 0) }
        }
        return skipped[first]
    }
}
