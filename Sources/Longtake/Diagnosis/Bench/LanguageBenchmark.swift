internal import Checkpoints
internal import Models
internal import Tensors

/// Measures the language model: the prefill of a prompt, and the tokens of an answer.
package struct LanguageBenchmark {
    private let model: BenchModel
    private let cancellation: Cancellation
    private var language: LanguageModel { model.llava.language }

    /// Creates the benchmark of a model.
    package init(_ model: BenchModel, cancellation: Cancellation) {
        self.model = model
        self.cancellation = cancellation
    }

    /// Measures the prefill of `tokens` positions with the logits of the last one.
    ///
    /// - Throws: `LongtakeError` `interrupted` or `bad_request`.
    package func prefill(tokens: Int, runs: Int) throws -> BenchReport {
        try check(tokens, "tokens", 1...language.config.maxPositions)
        let logits = Buffer<Float>(count: language.config.vocabularySize)
        let cache = language.makeCache(capacity: tokens)
        var whole = language.config
        whole.layerCount = model.layerCount
        let scale = whole.layerWork(rows: tokens, after: 0) / language.config.layerWork(rows: tokens, after: 0)
        var peak = model.measurePeak()
        let measured = try BenchRuns(runs, cancellation) {
            cache.truncate(to: 0)
            return model.run(scale: scale) {
                let last = language.append(count: tokens, to: cache) { embed($0, into: $1) }
                language.logits(last, into: logits.pointer)
            }
        }
        peak = max(peak, model.measurePeak())
        var report = BenchReport(
            "prefill", subject: model.name, unit: "token", count: tokens, runs: measured, machine: model.machine)
        report.layers = model.layers
        report.set(
            operations: (whole.layerWork(rows: tokens, after: 0) + whole.headWork) / Double(tokens), peak: peak)
        report.notes = ["a prompt of \(tokens) tokens"] + model.layerNotes
        return report
    }

    /// Measures `tokens` tokens, one after the other, after `context` positions, of each of `questions` answers that are
    /// generated together. The attention over the positions is recorded, as it is for the evidence of an answer.
    ///
    /// - Throws: `LongtakeError` `interrupted` or `bad_request`.
    package func decode(tokens: Int, context: Int, questions: Int = 1, runs: Int) throws -> BenchReport {
        try check(tokens, "tokens", 1...10_000)
        try check(context, "positions", 1...language.config.maxPositions - tokens)
        try check(questions, "answers together", 1...AnswerBatch.maxAnswers)
        let cache = language.makeCache(capacity: context + (questions == 1 ? tokens : 0))
        _ = language.append(count: context, to: cache) { embed($0, into: $1) }
        let bandwidth = model.compute.measureReadBandwidth()
        let scale = Double(model.layerCount) / Double(language.config.layerCount)
        let recorders = (0..<questions).map { _ in model.makeRecorder(vision: 0..<context) }
        let measured = try BenchRuns(runs, cancellation) {
            cache.truncate(to: context)
            let caches =
                questions == 1
                ? [SequenceCache(cache)]
                : (0..<questions).map { _ in SequenceCache(of: cache, shared: context, capacity: context + tokens) }
            return model.run(scale: scale) {
                for token in 0..<tokens {
                    let ids = (0..<questions).map { id(token + 100 * $0) }
                    _ = language.logits(after: ids, caches: caches, recorders: recorders)
                }
            }
        }
        var report = BenchReport(
            "decode-token", subject: model.name, unit: "token", count: tokens * questions, runs: measured,
            machine: model.machine)
        report.layers = model.layers
        let weights = language.weightBytes
        // Answers share whole blocks of keys and values.
        let shared = questions == 1 ? 0 : context - context % Compute.sharedKeysMultiple
        let positions = shared + questions * (context - shared + (tokens + 1) / 2)
        let keys = 2 * language.keyBytes * language.config.layerCount * positions
        report.set(
            bytes: (Double(weights.layers + keys) * scale + Double(weights.head)) / Double(questions),
            peak: max(bandwidth, model.compute.measureReadBandwidth()))
        let together = questions == 1 ? "" : ", \(questions) answers together"
        report.notes = ["after \(context) positions" + together] + model.layerNotes
        return report
    }

    private func check(_ value: Int, _ what: String, _ range: ClosedRange<Int>) throws {
        guard range.contains(value) else {
            throw LongtakeError(
                code: .badRequest, message: "\(value) \(what); use \(range.lowerBound) to \(range.upperBound)")
        }
    }

    private func id(_ index: Int) -> Int32 { Int32(index * 37 % language.config.vocabularySize) }

    private func embed(_ range: Range<Int>, into out: MatrixView) {
        for row in range {
            let target = out.rows(row - range.lowerBound..<row - range.lowerBound + 1)
            language.embed(id(row), into: target.floats)
        }
    }
}
