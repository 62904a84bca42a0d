internal import Checkpoints
internal import Models

/// An interval of a recording that an answer was read from.
public struct Evidence: Sendable, Codable, Equatable {
    /// Time of its first frame, in seconds on the file's timeline, as players show it.
    public let start: Double
    /// End of its last frame, in seconds on the file's timeline.
    public let end: Double
    /// `start` in seconds from the first frame; nil in files of earlier versions.
    public let startFromFirstFrame: Double?
    /// `end` in seconds from the first frame.
    public let endFromFirstFrame: Double?
    /// Its share of the attention on frames, 0 to 1.
    public let score: Double
    /// Index frame number of its frame with the most attention, from 0.
    public let frame: Int

    /// An interval of a recording.
    ///
    /// - Parameter clock: converts to times from the first frame; nil leaves those unset.
    package init(start: Double, end: Double, score: Double, frame: Int, clock: RecordingClock? = RecordingClock()) {
        self.start = start
        self.end = end
        startFromFirstFrame = clock?.fromFirstFrame(start)
        endFromFirstFrame = clock?.fromFirstFrame(end)
        self.score = score
        self.frame = frame
    }

    private enum CodingKeys: String, CodingKey {
        case start, end, score, frame
        case startFromFirstFrame = "start_from_first_frame"
        case endFromFirstFrame = "end_from_first_frame"
    }

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

    /// The intervals of high attention in `mass`, strongest first.
    ///
    /// - Parameters:
    ///   - mass: attention on each frame, 0 or more.
    ///   - times, numbers: each frame's grid time in seconds and its number in the index, ascending.
    ///   - frameSeconds: seconds of video per frame.
    ///   - clock: converts grid times to the file's timeline.
    package static func stretches(
        _ mass: [Double], times: [Double], numbers: [Int], frameSeconds: Double,
        clock: RecordingClock = RecordingClock()
    ) -> [Evidence] {
        let total = mass.reduce(0, +)
        guard let peak = mass.max(), peak > 0, total > 0, total.isFinite else { return [] }
        var ranges: [ClosedRange<Int>] = []
        for frame in mass.indices where mass[frame] >= floor * peak {
            if let last = ranges.last, numbers[frame] - numbers[last.upperBound] <= gap + 1 {
                ranges[ranges.count - 1] = last.lowerBound...frame
            } else {
                ranges.append(frame...frame)
            }
        }
        let found = ranges.map { range in
            let strongest = range.max { mass[$0] < mass[$1] } ?? range.lowerBound
            let share = mass[range].reduce(0, +) / total
            return Evidence(
                start: clock.fileTime(times[range.lowerBound]),
                end: clock.fileTime(times[range.upperBound] + frameSeconds), score: rounded(share),
                frame: numbers[strongest], clock: clock)
        }
        return found.sorted { $0.score != $1.score ? $0.score > $1.score : $0.start < $1.start }
    }

    static func rounded(_ share: Double) -> Double { (share * 10_000).rounded() / 10_000 }
}

/// The attention over frames while an answer was generated.
struct AttentionSummary {
    /// Per frame, the attention of the last head group, which locates what the answer names.
    let shown: [Double]
    /// Per frame, the attention of all head groups together.
    let all: [Double]
    /// Share of attention that was on frames, 0 to 1; nil for a model without evidence heads.
    let share: Double?

    /// The head groups to record: each trained evidence head alone, else all heads of the upper half of the layers.
    static func groups(_ config: EvidenceConfig?, language: LanguageConfig) -> [[AttentionHead]] {
        if let config { return config.heads.map { [$0] } }
        return [
            (language.layerCount / 2..<language.layerCount).flatMap { layer in
                (0..<language.headCount).map { AttentionHead(layer: layer, head: $0) }
            }
        ]
    }

    init(_ watch: AttentionRecorder, trained: Bool) {
        guard trained, let last = watch.frames.last, let rows = watch.rows.last else {
            shown = watch.frames.first.map(Self.withoutSink) ?? []
            all = shown
            share = nil
            return
        }
        shown = last
        all = last.indices.map { frame in watch.frames.reduce(0) { $0 + $1[frame] } }
        // Rows are weighted by their own share, so that tokens unrelated to the recording do not lower the mean.
        let total = rows.reduce(0, +)
        share = total > 0 ? rows.reduce(0) { $0 + $1 * $1 } / total : 0
    }

    /// Untrained heads spread attention evenly or rest on the text, so only attention above the even spread counts.
    private static func withoutSink(_ frames: [Double]) -> [Double] {
        let even = frames.reduce(0, +) / Double(max(frames.count, 1))
        return frames.map { max(0, $0 - even) }
    }
}

extension Answer {
    /// Replaces an empty answer, or one that must be seen and was not.
    static let notFound = "not found in this recording"

    /// Attaches the evidence; an answer that was not found and is empty, or must be seen, becomes "not found".
    mutating func judge(_ look: AttentionSummary, _ question: Question, threshold: Double?, source: Asker.Source) {
        attention = look.shown.map { Float($0) }
        foundScore = look.share.map(Evidence.rounded)
        found = threshold.map { (look.share ?? 0) >= $0 } ?? true
        evidence =
            found
            ? Array(
                Evidence.stretches(
                    look.shown, times: source.times, numbers: source.numbers, frameSeconds: source.frameSeconds,
                    clock: source.clock
                ).prefix(max(0, question.evidenceLimit))) : []
        if !found, answer.isEmpty || (question.mustBeSeen && !Self.denies(answer)) {
            said = answer
            answer = Self.notFound
        }
    }

    /// True if the text denies something: a denial can be right without any frame to show.
    package static func denies(_ words: String) -> Bool {
        let denials: Set<String> = [
            "no", "not", "nothing", "none", "nobody", "never", "nowhere", "neither", "without", "cannot", "zero",
            "empty",
        ]
        return words.lowercased().split { !$0.isLetter && $0 != "'" && $0 != "’" }.contains {
            denials.contains(String($0)) || $0.hasSuffix("n't") || $0.hasSuffix("n’t")
        }
    }
}
