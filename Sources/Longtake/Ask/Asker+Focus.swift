internal import Checkpoints
internal import Models
internal import Store
internal import Tensors
internal import Tokenizers

/// Whether an answer is given a second time, fused with the frames that the first one was read from.
public enum FocusMode: Sendable, Equatable {
    /// Where the fusion frames of the first answer were a sample, and a word of it was not certain.
    case automatic
    case off
    /// Always, with at most so many frames.
    case frames(Int)

    /// Few enough that at full size their patches are computed in seconds.
    public static let defaultFrames = 16

    /// A first answer each of whose words was at least so probable is not looked at again.
    public static let certain = 0.9

    /// The most frames that a second look takes; nil: there will be none, whatever the first answer is.
    func count(after fusion: FusionSummary) -> Int? {
        switch self {
        case .automatic: fusion.frames < fusion.of ? Self.defaultFrames : nil
        case .off: nil
        case .frames(let count): count > 0 ? count : nil
        }
    }

    /// Whether the first answer is good enough.
    func isContent(with first: Answer) -> Bool { self == .automatic && first.certainty ?? 0 >= Self.certain }
}

/// The first of two answers, and what the second look changed.
public struct FocusSummary: Sendable, Codable, Equatable {
    /// The numbers of the frames that the second answer was fused with.
    public let frames: [Int]
    public let answer: String
    public let tokenIDs: [Int32]
    public let found: Bool
    public let evidence: [Evidence]
    public let certainty: Double?
    public let fusion: FusionSummary
    /// Which of `answer`, `evidence` and `found` are others now.
    public var changed: [String] = []

    private enum CodingKeys: String, CodingKey {
        case frames, answer, found, evidence, certainty, fusion, changed
        case tokenIDs = "token_ids"
    }
}

extension Asker {
    /// Asks again with the frames that the first answer looked at most as fusion frames of the question.
    ///
    /// What comes before the recording's place stays fused as it was, and so does what the language model knows of the frames.
    /// Frames without patches are left out; where none has them, the first answer stays and a note says so: false then.
    func lookAgain(
        _ question: Question, _ prompt: Prompt, _ source: Source, _ reader: TokenReader, _ prefix: PrefixState,
        look: AttentionSummary,
        count: Int, answer: inout Answer, since start: ContinuousClock.Instant, onText: (String) -> Bool
    ) throws -> Bool {
        let clock = ContinuousClock()
        let before = clock.now
        let (chosen, failure) = try readable(look.all, source, count: count)
        guard !chosen.isEmpty else {
            answer.notes.append(
                "focus: no second look, for no frame has its patches: \(failure ?? "no frame was looked at")")
            return false
        }
        let first = answer
        let group = try PromptGroup([prompt.ids], model: loaded.llava)
        _ = try fuse(group, source, frames: chosen, keep: nil) { _ in try cancellation.check() }
        _ = group.restore(prefix.head)
        answer.fusion = FusionSummary(
            frames: chosen.count, of: source.times.count,
            relativeStandardError: chosen.count < source.times.count ? nil : 0)
        answer.timings.fuse += (clock.now - before).seconds
        let fused = FusedPrompt(text: group.texts[0], visionTokens: reader.count, readTokens: reader.read)
        answer.answer = ""
        answer.said = nil
        answer.certainty = nil
        let again = try speak(
            question, fused, reader, shared: prefix.cache, answer: &answer, since: start, onText: onText)
        judge(&answer, again, question, source)
        var summary = FocusSummary(
            frames: chosen.map { source.numbers[$0] }, answer: first.answer, tokenIDs: first.tokenIDs,
            found: first.found,
            evidence: first.evidence, certainty: first.certainty, fusion: first.fusion)
        if answer.answer != first.answer { summary.changed.append("answer") }
        if answer.evidence != first.evidence { summary.changed.append("evidence") }
        if answer.found != first.found { summary.changed.append("found") }
        answer.focus = summary
        return true
    }

    /// The `count` frames that were looked at most and have their patches, ascending; and why one had none.
    ///
    /// - Throws: `StoreError` `not_found` where the index was removed meanwhile: there is no answer then, not another one.
    private func readable(_ mass: [Double], _ source: Source, count: Int) throws -> ([Int], String?) {
        let model = loaded.llava
        let buffer = Buffer<Float>(count: model.patchRows * model.vision.hiddenSize)
        let patches = MatrixView(buffer.pointer, rows: model.patchRows, columns: model.vision.hiddenSize)
        var chosen: [Int] = []
        var failure: String?
        let order = mass.indices.sorted { mass[$0] != mass[$1] ? mass[$0] > mass[$1] : $0 < $1 }
        for frame in order {
            guard chosen.count < count, mass[frame] > 0 else { break }
            do {
                try source.patches(frame, patches)
                chosen.append(frame)
            } catch let error as StoreError where error.code == .notFound {
                throw error
            } catch {
                failure = failure ?? "\(error)"
            }
        }
        return (chosen.sorted(), failure)
    }
}
