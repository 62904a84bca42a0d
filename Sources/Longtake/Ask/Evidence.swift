/// An interval of a recording that an answer was read from, or that a text search found.
public struct Evidence: Sendable, Codable, Equatable {
    /// Time of its first frame, in seconds on the file's timeline, as players show it.
    public let start: Double
    /// End of its last frame, in seconds on the file's timeline.
    public let end: Double
    /// `start` in seconds from the first frame; nil in files of earlier versions.
    public let startFromFirstFrame: Double?
    /// `end` in seconds from the first frame.
    public let endFromFirstFrame: Double?
    /// `start` as a time of day, RFC 3339; nil if the recording's start is unknown.
    public let startClock: String?
    /// `end` as a time of day.
    public let endClock: String?
    /// Its share of the attention on frames, 0 to 1; of a search the cosine of the text and its best frame.
    public let score: Double
    /// Index frame number of its frame with the most attention or the best score, from 0.
    public let frame: Int

    /// An interval of a recording.
    ///
    /// - Parameter clock: converts to times from the first frame; nil leaves those unset.
    package init(start: Double, end: Double, score: Double, frame: Int, clock: RecordingClock? = RecordingClock()) {
        self.start = start
        self.end = end
        startFromFirstFrame = clock?.fromFirstFrame(start)
        endFromFirstFrame = clock?.fromFirstFrame(end)
        startClock = clock?.dayTime(start)
        endClock = clock?.dayTime(end)
        self.score = score
        self.frame = frame
    }

    private enum CodingKeys: String, CodingKey {
        case start, end, score, frame
        case startFromFirstFrame = "start_from_first_frame"
        case endFromFirstFrame = "end_from_first_frame"
        case startClock = "start_clock"
        case endClock = "end_clock"
    }

    /// Start and end as times of day, for people; nil if unknown.
    package var dayTimes: String? { DayInterval.text(startClock, endClock) }

    /// The same frames with their times on another clock.
    ///
    /// - Parameter fromFirst: convert from the times from the first frame; false: keep `start` and `end`.
    func placed(on clock: RecordingClock, fromFirst: Bool) -> Evidence {
        Evidence(
            start: fromFirst ? clock.fileTime(startFromFirstFrame ?? start) : start,
            end: fromFirst ? clock.fileTime(endFromFirstFrame ?? end) : end, score: score, frame: frame, clock: clock)
    }

    /// A frame belongs to an interval from this fraction of the strongest frame's attention on.
    static let floor = 0.2
    /// Intervals with at most this many weaker frames between them are merged.
    static let gap = 2

    /// The intervals of high attention, strongest first.
    ///
    /// - Parameters:
    ///   - attention: per frame, 0 or more.
    ///   - times, frameNumbers: each frame's grid time in seconds and its number in the index, ascending.
    ///   - frameSeconds: seconds of video per frame.
    ///   - clock: converts grid times to the file's timeline.
    package static func intervals(
        _ attention: [Double], times: [Double], frameNumbers: [Int], frameSeconds: Double,
        clock: RecordingClock = RecordingClock()
    ) -> [Evidence] {
        let total = attention.reduce(0, +)
        guard let peak = attention.max(), peak > 0, total > 0, total.isFinite else { return [] }
        var ranges: [ClosedRange<Int>] = []
        for frame in attention.indices where attention[frame] >= floor * peak {
            if let last = ranges.last, frameNumbers[frame] - frameNumbers[last.upperBound] <= gap + 1 {
                ranges[ranges.count - 1] = last.lowerBound...frame
            } else {
                ranges.append(frame...frame)
            }
        }
        let found = ranges.map { range in
            let strongest = range.max { attention[$0] < attention[$1] } ?? range.lowerBound
            let share = attention[range].reduce(0, +) / total
            return Evidence(
                start: clock.fileTime(times[range.lowerBound]),
                end: clock.fileTime(times[range.upperBound] + frameSeconds), score: rounded(share),
                frame: frameNumbers[strongest], clock: clock)
        }
        return found.sorted { $0.score != $1.score ? $0.score > $1.score : $0.start < $1.start }
    }

    static func rounded(_ share: Double) -> Double { (share * 10_000).rounded() / 10_000 }
}
