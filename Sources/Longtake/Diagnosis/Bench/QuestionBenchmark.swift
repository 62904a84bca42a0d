internal import Checkpoints
internal import Models
internal import Tensors

/// Measures a question about indexed frames whose shared state is computed already: fusion, prefill and answer.
///
/// The state's values are constant. Reading the index, tokenizing and the start of the program take no part.
package struct QuestionBenchmark {
    /// The tokens of a prompt's text; by default those of a typical question.
    struct Text: Sendable {
        /// Before the vision tokens: computed already.
        var before = 45
        /// After them: the question's own.
        var after = 30
    }

    /// The size of a question.
    package struct Size: Sendable {
        /// Frames in the range.
        package var frames: Int
        /// Frames that the question's text is fused with, at most `frames`.
        package var fusionFrames: Int
        /// Tokens of the answer.
        package var tokens: Int

        /// A question of this size.
        package init(frames: Int, fusionFrames: Int, tokens: Int) {
            (self.frames, self.fusionFrames, self.tokens) = (frames, min(fusionFrames, frames), tokens)
        }
    }

    private let text: Text
    private let model: BenchModel
    private let cancellation: Cancellation
    private var language: LanguageModel { model.llava.language }

    /// Creates the benchmark of a model.
    package init(_ model: BenchModel, cancellation: Cancellation) {
        self.init(model, text: Text(), cancellation: cancellation)
    }

    /// Creates the benchmark of a question of another length.
    init(_ model: BenchModel, text: Text, cancellation: Cancellation) {
        self.text = text
        self.model = model
        self.cancellation = cancellation
    }

    /// Runs the benchmark.
    ///
    /// - Throws: `LongtakeError` `interrupted` or `bad_request`; `CheckpointError` `not_enough_memory`.
    package func run(_ size: Size, runs: Int) throws -> BenchReport {
        try run(size, runs: runs, warmsUp: true)
    }

    /// The same, without a run to warm up where the model has computed before.
    func run(_ size: Size, runs: Int, warmsUp: Bool) throws -> BenchReport {
        let shared = text.before + size.frames * model.llava.fusion.tokensPerFrame
        let needed = shared + text.after + size.tokens
        guard size.frames > 0, size.fusionFrames > 0, size.tokens > 0,
            needed <= language.config.maxPositions
        else {
            throw LongtakeError(
                code: .badRequest,
                message: "\(size.frames) frames, \(size.fusionFrames) of them fused, and \(size.tokens) tokens; use 1 "
                    + "or more of each, and at most \(language.config.maxPositions) positions together")
        }
        let fusionFrames = model.llava.fusion.fusesText ? size.fusionFrames : 0
        let (frames, owner) = try preFusionCache(fusionFrames)
        let (cache, cacheOwner) = try model.constantCache(count: shared, capacity: needed)
        let question = Buffer<Float>(count: text.after * model.llava.hiddenSize)
        let rows = MatrixView(question.pointer, rows: text.after, columns: model.llava.hiddenSize)
        for row in 0..<text.after { language.embed(id(row), into: rows.rows(row..<row + 1).floats) }
        let logits = Buffer<Float>(count: language.config.vocabularySize)
        let recorder = model.makeRecorder(vision: text.before..<shared)
        let batch = FusionPlan.batchSize(frames: fusionFrames, bytesPerLayer: frames.bytesPerLayer)
        let scale = Double(model.layerCount) / Double(language.config.layerCount)
        var peak = model.measurePeak()
        let measured = try BenchRuns(runs, warmsUp: warmsUp, cancellation) {
            cache.truncate(to: shared)
            return model.run(scale: scale) {
                for first in stride(from: 0, to: fusionFrames, by: batch) {
                    let range = first..<min(first + batch, fusionFrames)
                    _ = model.llava.extend([rows], after: frames, frames: Array(range))
                }
                let last = language.append(count: text.after, to: cache, recorder: recorder) {
                    $1.floats.update(from: rows.rows($0).floats, count: $0.count * $1.columns)
                }
                language.logits(last, into: logits.pointer)
                let answer = SequenceCache(cache)
                for token in 1..<max(size.tokens, 1) {
                    _ = language.logits(after: [id(token)], caches: [answer], recorders: [recorder])
                }
            }
        }
        withExtendedLifetime((owner, cacheOwner)) {}
        peak = max(peak, model.measurePeak())
        var report = BenchReport(
            "ask", subject: model.name, unit: "question", count: 1, runs: measured, machine: model.machine)
        report.layers = model.layers
        report.set(operations: operations(size, shared: shared), peak: peak)
        report.notes = [
            "\(text.after) tokens about \(counted(size.frames, "frame")), fused with \(size.fusionFrames); "
                + "an answer of \(counted(size.tokens, "token"))"
        ]
        if scale != 1 {
            report.notes.append(
                "\(language.config.layerCount) of \(model.layerCount) layers computed, their time scaled to "
                    + "\(model.layerCount)")
        }
        return report
    }

    private func operations(_ size: Size, shared: Int) -> Double {
        var (layers, fusion) = (language.config, language.config)
        layers.layerCount = model.layerCount
        fusion.layerCount = model.llava.fusion.prefusionLayerCount
        var sum = Double(size.fusionFrames) * fusion.layerWork(rows: text.after, after: model.llava.patchRows)
        sum += layers.layerWork(rows: text.after, after: shared)
        for token in 1..<max(size.tokens, 2) where token < size.tokens {
            sum += layers.layerWork(rows: 1, after: shared + text.after + token - 1)
        }
        return sum + Double(size.tokens) * layers.headWork
    }

    private func id(_ index: Int) -> Int32 { Int32(index * 37 % language.config.vocabularySize) }

    private func preFusionCache(_ count: Int) throws -> (PreFusionCache, owner: AnyObject) {
        let frameBytes = PreFusionCache(model.llava, prefixRows: text.before, capacity: 0).bytesPerFrame
        try MemoryBudget.read()?.check("the state of \(count) fusion frames", needed: Int64(count * frameBytes))
        let memory = ConstantMemory(count * frameBytes)
        let raw = UnsafeMutableRawBufferPointer(start: memory.buffer.pointer, count: count * frameBytes)
        guard
            let cache = PreFusionCache(
                model.llava, prefixRows: text.before, count: count, memory: raw, owner: memory)
        else { preconditionFailure("\(raw.count) bytes for \(count) frames") }
        return (cache, memory)
    }
}
