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
    /// Time of computing after which the part of a prefix cache computed so far is saved.
    var partialInterval = Duration.seconds(600)
    let cancellation: Cancellation
    let forms: FormFilters
    var model: LlavaMini { loaded.llava }

    /// An asker for one loaded model.
    ///
    /// - Parameter prefixCaches: the prefix caches on disk; nil: prefixes are computed for each call.
    init(
        _ model: LoadedModel, prefixCaches: PrefixCacheStore? = nil, cancellation: Cancellation = Cancellation()
    ) {
        loaded = model
        forms = FormFilters(model)
        self.prefixCaches = prefixCaches
        self.cancellation = cancellation
    }

    /// An asker without prefix caches on disk.
    package convenience init(_ model: LoadedModel) { self.init(model, prefixCaches: nil) }

    /// Builds a question's prompt.
    ///
    /// - Throws: `TokenizerError` for a question that cannot be tokenized; `LongtakeError` `bad_request` if its answer's
    ///   form needs more tokens than it allows.
    func prompted(_ question: Question, history: [PromptTurn] = []) throws -> PromptedQuestion {
        PromptedQuestion(
            question: try forms.fit(question),
            prompt: try loaded.prompt(question.text, history: history, answerStart: question.answerStart))
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
        var answers: [Answer] = []
        try withBatch(onText: onText) { index, answer in
            answers.append(answer)
            try onAnswer(index, answer)
        } add: { batch in
            try add(questions, about: source, in: context, isAlone: questions.count == 1, to: batch, progress: progress)
        }
        return answers
    }

    /// Calls `add`, then generates the answers added to the batch.
    ///
    /// If `add` throws, the answers added before are completed first.
    func withBatch(
        onText: (Int, String) -> Bool, onAnswer: (Int, Answer) throws -> Void, add: (AnswerBatch) throws -> Void
    ) throws {
        try withoutActuallyEscaping(onText) { onText in
            try withoutActuallyEscaping(onAnswer) { onAnswer in
                let batch = AnswerBatch(self, onText: onText, onAnswer: onAnswer)
                do {
                    try add(batch)
                } catch let error where !batch.hasFailed {
                    try batch.finish()
                    throw error
                }
                try batch.finish()
            }
        }
    }

    /// Adds questions about the same frames to a batch; their prompts' common start is fused and prefilled once.
    ///
    /// - Parameter isAlone: true if the batch gets no other question: its answer then needs no memory of its own.
    func add(
        _ questions: [PromptedQuestion], about source: FrameSource, in context: AnswerContext, isAlone: Bool,
        to batch: AnswerBatch, progress: (Double) -> Void
    ) throws {
        let start = ContinuousClock.now
        var context = context
        context.created = Date().formatted(.iso8601)
        guard !source.times.isEmpty, let first = questions.first?.question else {
            for (index, asked) in questions.enumerated() {
                try batch.add(makeAnswer(asked.question, source, context, nil), index)
                context = context.withoutTimings
            }
            return
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
        var prefix = try prefixCache(for: fusing, freeRows: fusing.answerRows) { progress(0.9 * $0) }
        // The texts are fused: what follows needs only the language model's keys and values.
        prefix.fused = nil
        for index in questions.indices {
            let request = AnswerRequest(
                index: index, fusing: fusing, prefix: prefix, context: context,
                start: index == 0 ? start : ContinuousClock.now)
            try batch.add(request, isAlone: isAlone) { progress(0.9 + 0.1 * $0) }
            context = context.withoutTimings
        }
    }

    /// Generates an answer and attaches its evidence.
    ///
    /// - Parameters:
    ///   - cache: the KV cache over the first rows of the prompt.
    ///   - start: when the question was asked.
    func pass(
        _ index: Int, in fusing: FusionContext, _ fusion: FusionOutcome, cache: KVCache,
        since start: ContinuousClock.Instant, onText: (String) -> Bool
    ) throws -> AnswerPass {
        let constraint = try forms.constraint(of: fusing.questions[index].question)
        let text = TextGeneration(index, in: fusing, loaded: loaded, constraint: constraint, since: start)
        let generation = try withoutActuallyEscaping(onText) { onText in
            text.onText = onText
            defer { text.onText = { _ in true } }
            text.resume()
            return try text.finish(
                model.language.generate(
                    text.prompt, options: text.question.sampling, maxTokens: text.question.maxTokens,
                    stopIDs: loaded.stopIDs, shared: cache, constraint: constraint, recorder: text.recorder
                ) { text.accept($0, $1) })
        }
        return pass(generation, text.question, fusing.source, fusion)
    }

    /// Attaches the evidence to a generated text.
    func pass(
        _ generation: Generation, _ question: Question, _ source: FrameSource, _ fusion: FusionOutcome
    ) -> AnswerPass {
        AnswerPass(
            generation, question: question, threshold: loaded.checkpoint.evidence?.found, source: source,
            fusion: fusion)
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
