internal import Checkpoints
internal import Models
internal import Tokenizers

/// A text that is being generated from one fused prompt: its pieces, its attention and its times.
final class TextGeneration {
    let question: Question
    let prompt: FusedPrompt
    let recorder: AttentionRecorder
    /// Gets each piece of the text; returning false ends it.
    var onText: (String) -> Bool = { _ in true }
    private let tokens: VisionTokenReader
    private let hasEvidenceHeads: Bool
    private let start: ContinuousClock.Instant
    private var stream: StreamingDecoder
    /// Holds the text to the question's form; nil: free text.
    private let constraint: FormConstraint?
    private var (text, certainty) = ("", nil as Double?)
    private var (isEnded, isLate) = (false, false)
    private var firstToken: ContinuousClock.Instant?
    private var prefillSeconds = 0.0
    /// Seconds of the language model for this text; other texts' prompts, computed meanwhile, do not count.
    private var seconds = 0.0
    private var resumed: ContinuousClock.Instant?

    /// - Parameters:
    ///   - constraint: follows this text, and is the one it is generated with.
    ///   - start: when the question was asked.
    init(
        _ index: Int, in fusing: FusionContext, loaded: LoadedModel, constraint: FormConstraint?,
        since start: ContinuousClock.Instant
    ) {
        self.constraint = constraint
        question = fusing.questions[index].question
        prompt = fusing.fusedPrompt(index)
        tokens = fusing.tokens
        self.start = start
        stream = StreamingDecoder(tokenizer: loaded.tokenizer)
        let evidence = loaded.checkpoint.evidence
        hasEvidenceHeads = evidence != nil
        recorder = AttentionRecorder(
            groups: AttentionSummary.groups(evidence, language: loaded.llava.language.config),
            tokens: prompt.prefixRows..<prompt.prefixRows + prompt.visionTokens,
            tokensPerFrame: loaded.llava.fusion.tokensPerFrame)
    }

    /// The fraction of the prompt that `rows` rows are.
    func fractionDone(rows: Int) -> Double { Double(rows) / Double(max(prompt.count, 1)) }

    /// The language model begins to work for this text.
    func resume() { resumed = .now }

    /// The language model has worked for this text.
    func pause() {
        seconds = elapsed
        resumed = nil
    }

    private var elapsed: Double { seconds + (resumed.map { (ContinuousClock.now - $0).seconds } ?? 0) }

    /// Takes the next ID with its logits [V]; returns false if the text ends with it.
    func accept(_ id: Int32, _ logits: UnsafeBufferPointer<Float>) -> Bool {
        if tokens.failure != nil { return false }
        certainty = min(certainty ?? 1, Sampler.certainty(logits, allowed: constraint?.choices))
        let elapsed = elapsed
        if firstToken == nil {
            firstToken = .now
            prefillSeconds = elapsed
        }
        isLate = elapsed >= question.timeLimit
        if let constraint {
            constraint.accept(id, logits)
            if isLate { constraint.hurry() }
            return true
        }
        let piece = stream.append(id)
        if !piece.isEmpty {
            text += piece
            isEnded = !onText(piece)
        }
        return !isEnded && !isLate
    }

    /// The generated text, once it has ended.
    ///
    /// - Throws: the error of a vision token that could not be read.
    func finish(_ result: (ids: [Int32], stop: StopReason)) throws -> Generation {
        if let failure = tokens.failure { throw failure }
        if let constraint { return generation(result, constraint) }
        let rest = stream.finish()
        text += rest
        if !rest.isEmpty, !isEnded { _ = onText(rest) }
        pause()
        if firstToken == nil { prefillSeconds = seconds }
        return Generation(
            text: text, declared: nil, tokenIDs: result.ids, certainty: certainty,
            stop: isLate && !isEnded && result.stop == .cancelled ? .timeLimit : Answer.Stop(result.stop),
            attention: AttentionSummary(recorder, trained: hasEvidenceHeads), prefillSeconds: prefillSeconds,
            firstTokenSeconds: ((firstToken ?? .now) - start).seconds, decodeSeconds: seconds - prefillSeconds)
    }

    /// A text in the question's form.
    private func generation(
        _ result: (ids: [Int32], stop: StopReason), _ constraint: FormConstraint
    ) -> Generation {
        pause()
        if firstToken == nil { prefillSeconds = seconds }
        return Generation(
            text: constraint.text, declared: question.form?.answer(constraint.text), tokenIDs: result.ids,
            certainty: certainty,
            stop: isLate ? .timeLimit : constraint.isShortened ? .length : Answer.Stop(result.stop),
            attention: AttentionSummary(recorder, trained: hasEvidenceHeads), prefillSeconds: prefillSeconds,
            firstTokenSeconds: ((firstToken ?? .now) - start).seconds, decodeSeconds: seconds - prefillSeconds)
    }
}
