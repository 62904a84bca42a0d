internal import Checkpoints
internal import Models
internal import Tensors

/// A golden case of the whole model: compares every intermediate tensor and the greedy IDs for images and prompts.
struct LlavaParity {
    let model: LlavaMini
    let inputs: GoldenTensors
    let expected: GoldenTensors
    let tolerance: ParityTolerance
    /// `tokenizer_model_max_length`: the reference truncates the sequence there; `ask` refuses such a prompt instead.
    let truncation: Int?
    let stopTest: [Int]?

    func run(into report: inout ParityReport) throws {
        let names = inputs.tensors.keys.filter { $0 == "input_ids" || $0.hasSuffix(".input_ids") }.sorted()
        for name in names {
            guard let ids = inputs.integers(name) else { continue }
            let prefix = String(name.dropLast("input_ids".count))
            // The golden set's prefix for a prompt without images.
            let withImages = prefix != "text_only."
            try runPrompt(ids.map { Int32($0) }, prefix: prefix, withImages: withImages, into: &report)
        }
    }

    private func runPrompt(
        _ ids: [Int32], prefix: String, withImages: Bool, into report: inout ParityReport
    ) throws {
        let images = withImages ? inputs.floats("images") : nil
        let trace = TraceCollector()
        let text = try TextFusion(ids: ids, model: model)
        var tokens: [Float] = []
        var frames = 0
        if let images { (frames, tokens) = try encode(images, text: text, trace: trace) }
        let visible = ids.indices.filter { ids[$0] > 0 }
        if withImages { compareStages(trace, prefix, ids: ids, visible: visible, frames: frames, text, &report) }

        let width = model.hiddenSize
        let prompt = FusedPrompt(text: text, visionTokens: tokens.count / width) { range, block in
            tokens.withUnsafeBufferPointer { tokens in
                guard let base = tokens.baseAddress else { return }
                block.floats.update(from: base + range.lowerBound * width, count: range.count * width)
            }
        }
        try compareLanguage(prompt, prefix, &report)
    }

    /// Encodes and fuses one frame at a time, as the reference does.
    private func encode(
        _ images: [Float], text: TextFusion, trace: TraceCollector
    ) throws -> (frames: Int, tokens: [Float]) {
        let side = model.vision.imageSize
        let frameSize = model.fusion.partCount * 3 * side * side
        guard images.count % frameSize == 0 else {
            throw ParityError(
                message: "images have \(images.count) values, not a multiple of \(model.fusion.partCount) × 3 × "
                    + "\(side) × \(side)")
        }
        let frames = images.count / frameSize
        let buffer = Buffer<Float>(count: model.patchRows * model.vision.hiddenSize)
        let rows = MatrixView(buffer.pointer, rows: model.patchRows, columns: model.vision.hiddenSize)
        var tokens: [Float] = []
        let count = model.fusion.tokensPerFrame
        images.withUnsafeBufferPointer { images in
            guard let base = images.baseAddress else { return }
            for frame in 0..<frames {
                model.patches(frames: 1, into: rows) { image, out in
                    let planes = base + frame * frameSize + image * 3 * side * side
                    model.compute.patchify(
                        planes: planes, grid: model.vision.gridSize, patch: model.vision.patchSize, into: out)
                }
                trace.collect("clip_features", rows)
                let fused = model.fuse(patches: rows, frames: 1, text: text.embeddings, trace: trace.collect)
                trace.collect("compressed_per_frame", fused.rows(0..<count))
                trace.collect("fused_visible", fused.rows(count..<fused.rows))
                let tokenRows = fused.rows(0..<count)
                tokens += UnsafeBufferPointer(start: tokenRows.floats, count: count * fused.columns)
                text.add(fused.rows(count..<fused.rows))
            }
        }
        return (frames, tokens)
    }

    private func compareStages(
        _ trace: TraceCollector, _ prefix: String, ids: [Int32], visible: [Int], frames: Int, _ text: TextFusion,
        _ report: inout ParityReport
    ) {
        let width = model.hiddenSize
        let length = ids.count
        let visual = model.patchRows + model.fusion.tokensPerFrame
        let own = [
            "clip_features", "compressor_attn", "compressor_out", "projected_compressed", "projected_global",
            "projected_parts_in_part_order", "compressed_per_frame",
        ]
        for name in own { compare(prefix + name, trace.values[name], rowLength: nil, into: &report) }
        for layer in 0..<model.fusion.prefusionLayerCount {
            let name = "prefusion_layer\(layer)_"
            compare(prefix + name + "compressed", trace.values[name + "compressed"], rowLength: width, into: &report)
            // The reference's padding rows hold nothing it uses; here they do not exist.
            compare(
                prefix + name + "text", trace.values[name + "text"], rowLength: width, into: &report,
                keeping: { visible.contains($0 % length) })
        }
        compare(
            prefix + "prefusion_input", trace.values["prefusion_input"], rowLength: width, into: &report,
            keeping: { row in
                let position = row % (visual + length)
                return position < visual || visible.contains(position - visual)
            })
        compare(
            prefix + "fused_text_per_frame", trace.values["fused_visible"], rowLength: width, into: &report,
            keeping: { visible.contains($0 % length) })
        let mean = (0..<length).flatMap { index in
            [Float](unsafeUninitializedCapacity: width) { buffer, count in
                if let base = buffer.baseAddress { text.write(index, into: base) }
                count = width
            }
        }
        compare(prefix + "fused_text_mean", mean, rowLength: width, into: &report)
        comparePositions(prefix, ids: ids, visible: visible, visual: visual, into: &report)
    }

    /// Leaving padding out must give the reference's positions: visible rows count 0, 1, 2, …
    private func comparePositions(
        _ prefix: String, ids: [Int32], visible: [Int], visual: Int, into report: inout ParityReport
    ) {
        if let positions = expected.integers(prefix + "prefusion_position_ids") {
            let rows = Array(0..<visual) + visible.map { visual + $0 }
            let found = Array(0..<rows.count)
            let wanted = rows.map { positions[$0] }
            report.greedy.append(
                GreedyComparison(
                    name: prefix + "prefusion_position_ids", expected: wanted, found: found, equal: wanted == found,
                    required: true))
        }
        if let padding = expected.integers(prefix + "prefusion_key_is_padding") {
            let found = [Int](repeating: 0, count: visual) + ids.map { $0 <= 0 ? 1 : 0 }
            report.greedy.append(
                GreedyComparison(
                    name: prefix + "prefusion_key_is_padding", expected: padding, found: found,
                    equal: padding == found, required: true))
        }
    }

    private func compareLanguage(_ prompt: FusedPrompt, _ prefix: String, _ report: inout ParityReport) throws {
        let language = model.language
        let (width, vocabulary) = (language.config.hiddenSize, language.config.vocabularySize)
        let count = min(prompt.count, truncation ?? prompt.count)
        let trace = TraceCollector()
        let cache = language.makeCache(capacity: count)
        _ = language.append(count: count, to: cache, trace: trace.collect) { prompt.write($0, into: $1) }
        compare(prefix + "inputs_embeds", trace.values["hidden_0"], rowLength: width, into: &report)

        let layers = language.config.layerCount
        var final = trace.values["hidden_\(layers)"] ?? []
        var logits = [Float](repeating: 0, count: count * vocabulary)
        final.withUnsafeMutableBufferPointer { final in
            logits.withUnsafeMutableBufferPointer { logits in
                guard let rows = final.baseAddress, let out = logits.baseAddress else { return }
                language.logits(MatrixView(rows, rows: count, columns: width), into: out)
                language.finalNorm(
                    MatrixView(rows, rows: count, columns: width), into: MatrixView(rows, rows: count, columns: width))
            }
        }
        var hidden: [Float] = []
        let lastOnly = expected.shape(prefix + "llm_hidden_states")?.count == 2
        for layer in 0...layers {
            let rows = layer == layers ? final : trace.values["hidden_\(layer)"] ?? []
            hidden += lastOnly ? rows.suffix(width) : rows[...]
        }
        compare(prefix + "llm_hidden_states", hidden, rowLength: width, into: &report)
        compare(prefix + "logits", logits, rowLength: vocabulary, into: &report)
        compare(prefix + "logits_last", Array(logits.suffix(vocabulary)), rowLength: vocabulary, into: &report)
        try compareGreedy(prompt, prefix, &report)
    }

    private func compareGreedy(_ prompt: FusedPrompt, _ prefix: String, _ report: inout ParityReport) throws {
        guard let wanted = expected.integers(prefix + "greedy_ids") else { return }
        var steps: [Float] = []
        let result = try model.language.generate(
            prompt, options: .greedy, maxTokens: wanted.count, stopIDs: [], truncatedTo: truncation
        ) { _, logits in
            steps += logits
            return true
        }
        addGreedy(prefix + "greedy_ids", wanted, result.ids, &report)
        compare(
            prefix + "greedy_step_logits", steps, rowLength: model.language.config.vocabularySize, into: &report)
        if let stopTest, let wanted = expected.integers(prefix + "stop.greedy_ids") {
            let result = try model.language.generate(
                prompt, options: .greedy, maxTokens: wanted.count + 8, stopIDs: Set(stopTest.map { Int32($0) }),
                truncatedTo: truncation
            ) { _, _ in true }
            addGreedy(prefix + "stop.greedy_ids", wanted, result.ids, &report)
        }
    }

    private func addGreedy(_ name: String, _ wanted: [Int], _ ids: [Int32], _ report: inout ParityReport) {
        let found = ids.map { Int($0) }
        report.greedy.append(
            GreedyComparison(
                name: name, expected: wanted, found: found, equal: wanted == found,
                required: tolerance.precision == .f32))
    }

    /// Compares with the expected tensor of that name, if the case has it; `keeping` selects rows of the expected one.
    private func compare(
        _ name: String, _ found: [Float]?, rowLength: Int?, into report: inout ParityReport,
        keeping: ((Int) -> Bool)? = nil
    ) {
        guard var wanted = expected.floats(name), let shape = expected.shape(name) else { return }
        let length = rowLength ?? shape.last ?? 1
        if let keeping {
            wanted = (0..<wanted.count / length).filter(keeping).flatMap {
                wanted[$0 * length..<($0 + 1) * length]
            }
        }
        // Some large tensors of the golden set contain only the first frame.
        var found = found ?? []
        if shape.first == 1, found.count > wanted.count, !wanted.isEmpty, found.count % wanted.count == 0 {
            found = Array(found[..<wanted.count])
        }
        report.tensors.append(tolerance.compare(name, found: found, expected: wanted, rowLength: length))
    }
}

/// A case folder that cannot be run.
package struct ParityError: Error, CustomStringConvertible, Sendable {
    /// The folder and the reason.
    package let message: String
    /// `message`.
    package var description: String { message }
}

extension ParityError: CodedError {
    /// The kinds of error.
    enum Code: String { case notACase = "not_a_case" }
    var code: Code { .notACase }
    var exitStatus: Int32 { Exit.model }
}
