internal import Checkpoints
internal import Foundation
internal import Models
internal import Tensors
internal import Tokenizers

extension Asker {
    /// Answers a question greedily, row by row, and records which tokens its rows attend to in each layer.
    ///
    /// The rows of the vision tokens and of the text before them are computed together and not recorded.
    /// - Throws: as `answer`; `LongtakeError` `bad_request` for a range without frames.
    package func inspectAttention(_ question: Question, about source: FrameSource) throws -> AttentionInspection {
        guard !source.times.isEmpty else {
            throw LongtakeError(code: .badRequest, message: source.emptyNote ?? "no frames")
        }
        let asked = try prompted(question)
        try checkContext(asked.prompt, frames: source.times.count, maxTokens: question.maxTokens)
        let fusing = try FusionContext(
            [asked], source, frames: source.fusionFrames(question.fusion, limit: question.fusionFrames),
            targetError: question.fusionError ?? loaded.fusionError, model: model)
        let prefix = try prefixCache(for: fusing, freeRows: fusing.answerRows) { _ in }
        let (language, prompt, cache) = (model.language, fusing.fusedPrompt(0), prefix.cache)
        let vision = prompt.prefixRows..<prompt.prefixRows + prompt.visionTokens
        let profile = AttentionProfile(
            vision: vision, promptRows: prompt.count, layers: language.config.layerCount,
            heads: language.config.headCount)
        var text = StreamingDecoder(tokenizer: loaded.tokenizer)
        var sampler = Sampler(question.sampling)
        var (answer, answerRows) = ("", 0)
        let first = cache.count
        let logits = Buffer<Float>(count: language.config.vocabularySize)
        defer { cache.truncate(to: first) }
        func compute(_ row: Int, _ write: (MatrixView) -> Void) throws {
            try cancellation.check()
            profile.begin(row: row)
            let last = language.append(count: 1, to: cache, recorder: profile) { _, out in write(out) }
            // Before the prompt's last row nothing is sampled.
            if row >= prompt.count - 1 { language.logits(last, into: logits.pointer) }
        }
        for row in first..<prompt.count { try compute(row) { prompt.write(row..<row + 1, into: $0) } }
        if let failure = fusing.tokens.failure { throw failure }
        while answerRows < question.maxTokens {
            let values = UnsafeBufferPointer(start: logits.pointer, count: language.config.vocabularySize)
            let id = try sampler.next(values)
            if loaded.stopIDs.contains(id) { break }
            answer += text.append(id)
            try compute(prompt.count + answerRows) { language.embed(id, into: $0.floats) }
            answerRows += 1
        }
        answer += text.finish()
        return Self.inspection(
            profile, question, source, answer: answer.trimmingCharacters(in: .whitespacesAndNewlines),
            vision: vision.count,
            rows: (prompt.count - first, answerRows), loaded: loaded)
    }

    private static func inspection(
        _ profile: AttentionProfile, _ question: Question, _ source: FrameSource, answer: String, vision: Int,
        rows: (instruction: Int, answer: Int), loaded: LoadedModel
    ) -> AttentionInspection {
        func shares(_ value: AttentionProfile.Shares) -> AttentionInspection.Shares {
            .init(
                vision: value.parts[0], instruction: value.parts[1], answer: value.parts[2],
                visionEntropy: value.visionEntropy)
        }
        let (text, answers) = (profile.shares(of: .instruction) ?? [], profile.shares(of: .answer))
        return AttentionInspection(
            input: source.recording.path, question: question.text, answer: answer, model: loaded.name,
            visionTokens: vision, instructionRows: rows.instruction, answerRows: rows.answer,
            layers: text.enumerated().map { index, layer in
                .init(layer: index, instructionRows: shares(layer), answerRows: answers.map { shares($0[index]) })
            }, notes: loaded.notes + source.notes)
    }
}
