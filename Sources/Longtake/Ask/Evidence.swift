internal import Checkpoints
internal import Models

/// A stretch of a recording that an answer was read from.
public struct Evidence: Sendable, Codable, Equatable {
    /// Seconds on the file's time line, as players show them, of its first frame and of the end of its last one.
    public let start: Double
    public let end: Double
    /// The same from the first picture; nil in what earlier versions wrote.
    public let startFromFirstFrame: Double?
    public let endFromFirstFrame: Double?
    /// Its share of the attention that was on frames, 0 to 1.
    public let score: Double
    /// The number of its strongest frame in the index, from 0.
    public let frame: Int

    /// - Parameter clock: nil: nothing is known of the time from the first picture.
    public init(start: Double, end: Double, score: Double, frame: Int, clock: RecordingClock? = RecordingClock()) {
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

    /// The same frames on a recording's clock.
    ///
    /// - Parameter fromFirst: take the times from the first picture, else those of the file.
    func placed(on clock: RecordingClock, fromFirst: Bool) -> Evidence {
        Evidence(
            start: fromFirst ? clock.fileTime(startFromFirstFrame ?? start) : start,
            end: fromFirst ? clock.fileTime(endFromFirstFrame ?? end) : end, score: score, frame: frame, clock: clock)
    }

    /// A frame belongs to a stretch from this share of the strongest frame's attention on.
    static let floor = 0.2
    /// Stretches with at most so many weaker frames between them are one.
    static let gap = 2

    /// The stretches in `mass`, the strongest first.
    ///
    /// - Parameters:
    ///   - mass: the attention on each frame, 0 or more.
    ///   - times, numbers: each frame's grid time and its number in the index, ascending.
    ///   - frameSeconds: seconds that a frame stands for.
    ///   - clock: puts the times on the file's time line.
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

/// Where a model looked while it answered.
struct AttentionSummary {
    /// Per frame: where what the answer names was seen.
    let shown: [Double]
    /// Per frame: all that was looked at.
    let all: [Double]
    /// The share of attention that was on frames at all; nil for a model that was not trained to look away from nothing.
    let share: Double?

    /// The groups of heads that are watched: those that were trained to look, one group each, else the upper half of the
    /// layers as one.
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
        // Rows weighted by themselves: words that say nothing of the recording do not count against those that do.
        let total = rows.reduce(0, +)
        share = total > 0 ? rows.reduce(0) { $0 + $1 * $1 } / total : 0
    }

    /// A head that looks for nothing spreads evenly or rests on the text: what is above the even spread is what it looks at.
    private static func withoutSink(_ frames: [Double]) -> [Double] {
        let even = frames.reduce(0, +) / Double(max(frames.count, 1))
        return frames.map { max(0, $0 - even) }
    }
}

extension Answer {
    /// What stands for an answer that there is none to.
    static let notFound = "not found in this recording"

    /// Says what the answer was read from; an answer without words, or one that must be seen and is not, is "not found".
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

    /// Whether the words say that something is not so: a right answer with nothing to see.
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
