internal import Checkpoints
internal import Foundation
internal import Models
internal import Store
internal import Tensors
internal import Tokenizers

/// Answers questions about frames: fuses the text with them, inserts the vision tokens and runs the language model.
package final class Asker {
    let loaded: LoadedModel
    let prefixCaches: PrefixCacheStore?
    /// Operations that a prefix cache must save each question to be kept; 0: always keep it.
    var minimumSaving = 0.0
    let cancellation: Cancellation
    var model: LlavaMini { loaded.llava }

    /// An asker for one loaded model.
    ///
    /// - Parameter prefixCaches: the prefix caches on disk; nil: prefixes are computed for each call.
    init(
        _ model: LoadedModel, prefixCaches: PrefixCacheStore? = nil, cancellation: Cancellation = Cancellation()
    ) {
        loaded = model
        self.prefixCaches = prefixCaches
        self.cancellation = cancellation
    }

    /// An asker without prefix caches on disk.
    package convenience init(_ model: LoadedModel) { self.init(model, prefixCaches: nil) }

    /// Builds a question's prompt.
    ///
    /// - Throws: `TokenizerError` for a question that cannot be tokenized.
    func prompted(_ question: Question, history: [PromptTurn] = []) throws -> PromptedQuestion {
        PromptedQuestion(question: question, prompt: try loaded.prompt(question.text, history: history))
    }

    /// Answers one question about the frames of a source.
    package func answer(
        _ question: Question, about source: FrameSource, onText: (String) -> Bool = { _ in true }
    ) throws -> Answer {
        try answer([prompted(question)], about: source, onText: { onText($1) })[0]
    }

    /// Answers questions about the same frames; the common start of their prompts is fused and prefilled once.
    ///
    /// The time of the common part counts as the first answer's.
    /// - Parameters:
    ///   - questions: all with the first one's range and fusion settings; the source holds the frames of that range.
    ///   - progress: gets the fraction done of the work before the next answer's first token.
    ///   - onText: gets the question's index and each piece of its answer; returning false ends that answer.
    ///   - onAnswer: gets each answer when it is complete.
    /// - Throws: `ModelError` if a prompt does not fit the context or a value is not a number; `StoreError` for a
    ///   damaged record.
    @discardableResult
    func answer(
        _ questions: [PromptedQuestion], about source: FrameSource, in context: AnswerContext = AnswerContext(),
        progress: (Double) -> Void = { _ in }, onText: (Int, String) -> Bool = { _, _ in true },
        onAnswer: (Int, Answer) throws -> Void = { _, _ in }
    ) throws -> [Answer] {
        let clock = ContinuousClock()
        var start = clock.now
        var context = context
        context.created = Date().formatted(.iso8601)
        var answers: [Answer] = []
        func finish(_ answer: Answer) throws {
            answers.append(answer)
            context = context.withoutTimings
            try onAnswer(answers.count - 1, answer)
            start = clock.now
        }
        guard !source.times.isEmpty, let first = questions.first?.question else {
            for asked in questions { try finish(makeAnswer(asked.question, source, context, nil)) }
            return answers
        }
        guard first.fusionFrames > 0 else {
            throw LongtakeError(
                code: .badRequest, message: "fusion frames must be at least 1, not \(first.fusionFrames)")
        }
        let fusing = try FusionContext(
            questions, source, frames: source.fusionFrames(first.fusion, limit: first.fusionFrames),
            targetError: first.fusionError ?? loaded.fusionError, model: model)
        for asked in questions {
            try checkContext(asked.prompt, frames: source.times.count, maxTokens: asked.question.maxTokens)
        }
        let prefix = try prefixCache(for: fusing, freeRows: fusing.answerRows) { progress(0.9 * $0) }
        for (index, asked) in questions.enumerated() {
            let passes = try passes(
                index, in: fusing, prefix, since: start, progress: { progress(0.9 + 0.1 * $0) },
                onText: { onText(index, $0) })
            try finish(
                makeAnswer(asked.question, source, context, passes, reused: prefix.wasKept || index > 0))
        }
        return answers
    }

    /// Answers one question with one pass or two.
    private func passes(
        _ index: Int, in fusing: FusionContext, _ prefix: PrefixCache, since start: ContinuousClock.Instant,
        progress: (Double) -> Void, onText: (String) -> Bool
    ) throws -> AnswerPasses {
        let question = fusing.questions[index].question
        let fusion = FusionOutcome(
            summary: fusing.summary(of: index), fuseSeconds: index == 0 ? prefix.fuseSeconds : 0,
            prefixSeconds: index == 0 ? prefix.prefillSeconds : 0)
        let focusLimit = question.focus.frameLimit(after: fusion.summary)
        // Text that may still be replaced is held back: that of a first pass, and of an answer that must be seen.
        func show(_ text: String) -> Bool { question.mustBeSeen || onText(text) }
        let first = try pass(
            index, in: fusing, fusion, cache: prefix.cache, since: start, progress: progress,
            onText: { focusLimit != nil || show($0) })
        var passes = AnswerPasses(first: first)
        if let focusLimit, !question.focus.isSatisfied(certainty: first.generation.certainty) {
            passes = try refine(
                first, of: fusing.questions[index], in: fusing, prefix, limit: focusLimit, since: start, onText: show)
        }
        let isShown = !question.mustBeSeen && (focusLimit == nil || passes.second != nil)
        if !isShown, !passes.last.text.isEmpty { _ = onText(passes.last.text) }
        return passes
    }

    /// Generates an answer and attaches its evidence.
    ///
    /// - Parameters:
    ///   - cache: the KV cache over the first rows of the prompt; nil: none.
    ///   - start: when the question was asked.
    func pass(
        _ index: Int, in fusing: FusionContext, _ fusion: FusionOutcome, cache: KVCache?,
        since start: ContinuousClock.Instant, progress: (Double) -> Void = { _ in }, onText: (String) -> Bool
    ) throws -> AnswerPass {
        let generation = try generate(
            index, in: fusing, cache: cache, since: start, progress: progress, onText: onText)
        return AnswerPass(
            generation, question: fusing.questions[index].question, threshold: loaded.checkpoint.evidence?.found,
            source: fusing.source, fusion: fusion)
    }

    private func generate(
        _ index: Int, in fusing: FusionContext, cache: KVCache?, since start: ContinuousClock.Instant,
        progress: (Double) -> Void, onText: (String) -> Bool
    ) throws -> Generation {
        let (question, fused, tokens) = (fusing.questions[index].question, fusing.fusedPrompt(index), fusing.tokens)
        let clock = ContinuousClock()
        let beforePrefill = clock.now
        var firstToken: ContinuousClock.Instant?
        var stream = StreamingDecoder(tokenizer: loaded.tokenizer)
        var (text, certainty) = ("", nil as Double?)
        var (isEnded, isLate) = (false, false)
        let evidence = loaded.checkpoint.evidence
        let recorder = AttentionRecorder(
            groups: AttentionSummary.groups(evidence, language: model.language.config),
            tokens: fused.prefixRows..<fused.prefixRows + fused.visionTokens,
            tokensPerFrame: model.fusion.tokensPerFrame)
        let result = try model.language.generate(
            fused, options: question.sampling, maxTokens: question.maxTokens, stopIDs: loaded.stopIDs, shared: cache,
            recorder: recorder, progress: { progress(Double($0) / Double(max(fused.count, 1))) }
        ) { id, logits in
            if tokens.failure != nil { return false }
            certainty = min(certainty ?? 1, Sampler.certainty(logits))
            if firstToken == nil { firstToken = clock.now }
            let piece = stream.append(id)
            if !piece.isEmpty {
                text += piece
                isEnded = !onText(piece)
            }
            isLate = (clock.now - beforePrefill).seconds >= question.timeLimit
            return !isEnded && !isLate
        }
        if let failure = tokens.failure { throw failure }
        let rest = stream.finish()
        text += rest
        if !rest.isEmpty, !isEnded { _ = onText(rest) }
        let finished = clock.now
        let first = firstToken ?? finished
        return Generation(
            text: text, tokenIDs: result.ids, certainty: certainty,
            stop: isLate && !isEnded && result.stop == .cancelled ? .timeLimit : Answer.Stop(result.stop),
            attention: AttentionSummary(recorder, trained: evidence != nil),
            prefillSeconds: (first - beforePrefill).seconds, firstTokenSeconds: (first - start).seconds,
            decodeSeconds: (finished - first).seconds)
    }

    /// Checks, before anything is computed, that a prompt, its frames and its answer fit the model's context.
    func checkContext(_ prompt: Prompt, frames: Int, maxTokens: Int) throws {
        let perFrame = model.fusion.tokensPerFrame
        guard maxTokens > 0 else {
            throw LongtakeError(code: .badRequest, message: "max_tokens must be at least 1, not \(maxTokens)")
        }
        // Clamped to more than any context, so that the sum cannot overflow.
        let other = prompt.ids.count - 1 + min(maxTokens, Int(Int32.max))
        let needed = frames * perFrame + other
        let limit = model.language.config.maxPositions
        guard needed <= limit else {
            throw ModelError.context(
                needed: needed, limit: limit, frames: frames, tokensPerFrame: perFrame, other: other)
        }
    }
}
