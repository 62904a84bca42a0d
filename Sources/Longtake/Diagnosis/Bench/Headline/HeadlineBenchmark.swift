internal import Checkpoints
internal import Media
internal import Models
internal import Tensors

/// Measures the paper's headline figures: LLaVA-v1.5 beside LLaVA-Mini on two language models, with random weights.
///
/// Models are made in memory, measured one after the other, and freed before the next is made.
package struct HeadlineBenchmark {
    /// The lengths of the tables, in frames.
    package static let lengths = [1, 10, 100, 1000, 10_000, 86_400]

    private let shape: String
    private let runs: Int
    private let settings: ModelSettings
    private let cancellation: Cancellation
    private let progress: (String) -> Void
    private let isFull: Bool

    /// - Parameters:
    ///   - shape: one of `BenchModel.shapes`.
    ///   - runs: measurements of the first token, 1 to 1000.
    ///   - progress: gets what is done next, one line each.
    /// - Throws: `LongtakeError` `bad_request`.
    package init(
        shape: String, runs: Int, settings: ModelSettings, cancellation: Cancellation,
        progress: @escaping (String) -> Void
    ) throws {
        guard BenchModel.shapes.contains(shape), (1...1000).contains(runs) else {
            throw LongtakeError(
                code: .badRequest,
                message: "shape \(shape), \(runs) runs; use \(BenchModel.shapes.joined(separator: " or ")), 1 to 1000")
        }
        var settings = settings
        isFull = shape == "full"
        settings.precision = isFull ? .bf16 : .f32
        settings.keyValues = settings.keyValues ?? .bf16
        (self.shape, self.runs, self.settings) = (shape, runs, settings)
        (self.cancellation, self.progress) = (cancellation, progress)
    }

    /// Runs the benchmark.
    ///
    /// - Throws: `LongtakeError` `interrupted`; `CheckpointError` `not_enough_memory`.
    package func run() throws -> HeadlineReport {
        var found: [HeadlineReport.Model] = []
        var machine = BenchMachine(threads: settings.threads)
        for model in HeadlineModel.all(shape: shape) {
            try cancellation.check()
            progress("\(model.name): making random weights")
            let rates = try measure(model) { machine = $0 }
            found.append(HeadlineReport.Model(model, rates, lengths: Self.lengths))
        }
        return HeadlineReport(shape: shape, machine: machine, models: found)
    }

    /// The model's weights are freed with the return of this function.
    private func measure(_ model: HeadlineModel, _ machine: (BenchMachine) -> Void) throws -> HeadlineRates {
        let bench = try BenchModel(
            name: model.name, parts: model.parts, part: .question, layers: model.parts.language.layerCount,
            settings: settings)
        machine(bench.machine)
        var rates = HeadlineRates(model)
        try measureImage(model, bench, &rates)
        try measurePrompt(model, bench, &rates)
        try measureAgain(model, bench, &rates)
        return rates
    }

    /// From pixels to the first token of an answer about one image.
    private func measureImage(_ model: HeadlineModel, _ bench: BenchModel, _ rates: inout HeadlineRates) throws {
        let (llava, language) = (bench.llava, bench.llava.language)
        let encoder = FrameEncoder(llava, bench.preprocessing)
        let frame = bench.randomFrames(1)[0]
        let (before, after) = (HeadlineModel.text.before, HeadlineModel.text.after)
        let tokens = llava.fusion.tokensPerFrame
        let text = Buffer<Float>(count: (before + after) * llava.hiddenSize)
        let textRows = MatrixView(text.pointer, rows: before + after, columns: llava.hiddenSize)
        for row in 0..<before + after {
            language.embed(Int32(row * 37 % language.config.vocabularySize), into: textRows.rows(row..<row + 1).floats)
        }
        let logits = Buffer<Float>(count: language.config.vocabularySize)
        let cache = language.makeCache(capacity: before + tokens + after)
        var measured: [(frame: Double, language: Double)] = []
        // At full shape a run takes a minute, and the weights have just been written to memory: it needs no warm-up.
        for run in (isFull ? 1 : 0)...runs {
            try cancellation.check()
            progress("\(model.name): one image" + (run == 0 ? ", warming up" : ", run \(run) of \(runs)"))
            cache.truncate(to: 0)
            let start = ContinuousClock.now
            let patches = try encoder.patches(of: frame)
            let fused = llava.fuse(patches: patches, frames: 1, text: textRows)  // [C2 + A, H]
            let middle = ContinuousClock.now
            let last = language.append(count: before + tokens + after, to: cache) { range, out in
                for row in range {
                    let source = row < before ? tokens + row : row < before + tokens ? row - before : row
                    out.rows(row - range.lowerBound..<row - range.lowerBound + 1).floats.update(
                        from: fused.rows(source..<source + 1).floats, count: llava.hiddenSize)
                }
            }
            language.logits(last, into: logits.pointer)
            let end = ContinuousClock.now
            if run > 0 { measured.append(((middle - start).seconds, (end - middle).seconds)) }
        }
        rates.image = measured.map { $0.frame + $0.language }
        let median = measured.sorted { $0.frame + $0.language < $1.frame + $1.language }[(runs - 1) / 2]
        (rates.frameSeconds, rates.languageSeconds) = median
    }

    /// A slice of a prompt at its beginning and after many positions: the rates of products and of attention.
    private func measurePrompt(_ model: HeadlineModel, _ bench: BenchModel, _ rates: inout HeadlineRates) throws {
        let language = bench.llava.language
        let (slice, known) = isFull ? (128, 3584) : (64, 448)
        let (cache, owner) = try bench.constantCache(count: known, capacity: known + slice)
        var seconds: [Int: Double] = [:]
        for start in [known, 0] {
            try cancellation.check()
            progress("\(model.name): \(slice) tokens after \(start) others")
            cache.truncate(to: start)
            let begin = ContinuousClock.now
            _ = language.append(count: slice, to: cache) { range, out in
                for row in range {
                    language.embed(
                        Int32(row % language.config.vocabularySize),
                        into: out.rows(row - range.lowerBound..<row - range.lowerBound + 1).floats)
                }
            }
            seconds[start] = (ContinuousClock.now - begin).seconds
        }
        withExtendedLifetime(owner) {}
        let (first, later) = (seconds[0] ?? 0, seconds[known] ?? 0)
        let config = language.config
        let (near, far) = (
            config.attentionWork(rows: slice, after: 0), config.attentionWork(rows: slice, after: known)
        )
        let products = config.layerWork(rows: slice, after: 0) - near
        // Both slices have the same products.
        let mean = (products + near) / max(first, .leastNormalMagnitude)
        rates.attention = later > first ? (far - near) / (later - first) : mean
        let rest = first - near / rates.attention
        rates.linear = rest > 0 ? products / rest : mean
    }

    /// A further question about one frame, and about as many as fit in memory and context.
    private func measureAgain(_ model: HeadlineModel, _ bench: BenchModel, _ rates: inout HeadlineRates) throws {
        let question = QuestionBenchmark(bench, text: HeadlineModel.text, cancellation: cancellation)
        func seconds(_ frames: Int) throws -> Double {
            progress("\(model.name): a further question, \(counted(frames, "frame"))")
            let size = QuestionBenchmark.Size(frames: frames, fusionFrames: HeadlineModel.sample, tokens: 1)
            return try question.run(size, runs: 1, warmsUp: !isFull).seconds
        }
        rates.again[1] = try seconds(1)
        for frames in [10_000, 1000, 100] {
            let positions = model.cost.positions(frames: frames) + 1
            guard positions <= model.parts.language.maxPositions else { continue }
            do {
                rates.again[frames] = try seconds(frames)
                return
            } catch let error as CheckpointError where error.code == .notEnoughMemory {
                continue
            }
        }
    }
}
