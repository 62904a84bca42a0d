internal import Checkpoints
internal import Models
internal import Store
internal import Tensors
internal import Tokenizers

/// Whether a question is answered a second time, fused with the frames the first answer attended to most.
public enum FocusMode: Sendable, Equatable {
    /// If the first answer's fusion frames were a sample and one of its tokens was uncertain.
    case automatic
    /// Never.
    case off
    /// Always, with at most this many frames.
    case frames(Int)

    /// Most frames of an automatic second pass: at full size their patches take only seconds to compute.
    package static let defaultFrames = 16

    /// A first answer whose every token is at least this probable gets no automatic second pass.
    package static let certain = 0.9

    /// Most frames of a second pass; nil if no first answer can cause one.
    func count(after fusion: FusionSummary) -> Int? {
        switch self {
        case .automatic: fusion.frames < fusion.of ? Self.defaultFrames : nil
        case .off: nil
        case .frames(let count): count > 0 ? count : nil
        }
    }

    /// True if the first answer is certain enough to skip an automatic second pass.
    func isContent(with first: Answer) -> Bool { self == .automatic && first.certainty ?? 0 >= Self.certain }
}

/// The first of two answers, and what the second pass changed.
package struct FocusSummary: Sendable, Codable, Equatable {
    /// Index frame numbers that the second answer was fused with.
    package let frames: [Int]
    /// The first answer's text.
    package let answer: String
    /// The first answer's token IDs.
    package let tokenIDs: [Int32]
    /// Whether the first answer was found.
    package let found: Bool
    /// The first answer's evidence.
    package let evidence: [Evidence]
    /// The first answer's certainty, 0 to 1.
    package let certainty: Double?
    /// The frames the first answer was fused with.
    package let fusion: FusionSummary
    /// Which of "answer", "evidence" and "found" differ from the first answer.
    package var changed: [String] = []

    private enum CodingKeys: String, CodingKey {
        case frames, answer, found, evidence, certainty, fusion, changed
        case tokenIDs = "token_ids"
    }
}

extension Asker {
    /// Answers again, with the frames of highest attention in the first answer as the question's fusion frames.
    ///
    /// The fused text before the image placeholder and the language model's keys and values over the frames are reused.
    /// Frames without patches are left out.
    /// - Returns: false if no frame has patches: the first answer stays, with a note.
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

    /// The `count` frames of highest attention whose patches can be read, ascending, and the first read error.
    ///
    /// - Throws: `StoreError` `not_found` if the index was removed meanwhile: then the question fails.
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
