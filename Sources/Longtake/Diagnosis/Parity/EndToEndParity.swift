internal import Checkpoints
internal import Foundation
internal import Media
internal import Models
internal import Tensors
internal import Tokenizers

/// A golden case from an image file, or a video's raw frames, and a question to the reference's text.
struct EndToEndParity {
    /// One flow of case.json.
    struct Flow: Decodable {
        let model: String
        let tokenizer: String
        let conv_mode: String
        let kind: String
        let question: String
        let image_aspect_ratio_override: String?
        let resolution_ratio_override: Int?
        let source: String
        let expected_text: String
    }

    let folder: String
    let flows: [String: Flow]
    let compute: Compute
    let inputs: GoldenTensors
    let expected: GoldenTensors
    let tolerance: ParityTolerance
    let videoRate: Double?
    let videoIndices: [Int]?

    func run(into report: inout ParityReport) throws {
        for (name, flow) in flows.sorted(by: { $0.key < $1.key }) { try run(flow, name + ".", into: &report) }
    }

    private func run(_ flow: Flow, _ prefix: String, into report: inout ParityReport) throws {
        let checkpoint = try CheckpointFolder(path: folder + "/" + flow.model)
        let ratio = flow.resolution_ratio_override ?? 1
        let parts = ratio > 1 ? ratio * ratio + 1 : 1
        let model = try ParityRunner.loadModel(checkpoint, compute: compute, parts: parts)
        let preprocessing = try preprocessing(checkpoint, flow)
        let prompt = try prompt(flow, prefix, &report)

        let frames = try images(flow, preprocessing, ratio: ratio, &report)
        comparePixels(prefix, frames, &report)
        let text = try TextFusion(ids: prompt.ids, model: model)
        let (width, tokens) = (model.hiddenSize, model.fusion.tokensPerFrame)
        var visual: [Float] = []
        let buffer = Buffer<Float>(count: model.patchRows * model.vision.hiddenSize)
        let rows = MatrixView(buffer.pointer, rows: model.patchRows, columns: model.vision.hiddenSize)
        for frame in frames {
            model.patches(frames: 1, into: rows) { image, out in
                frame[image].pixels.withUnsafeBufferPointer { rgb in
                    guard let base = rgb.baseAddress else { return }
                    compute.patchify(
                        rgb: base, grid: model.vision.gridSize, patch: model.vision.patchSize, mean: preprocessing.mean,
                        std: preprocessing.std, into: out)
                }
            }
            let fused = model.fuse(patches: rows, frames: 1, text: text.embeddings)
            visual += UnsafeBufferPointer(start: fused.rows(0..<tokens).floats, count: tokens * width)
            text.add(fused.rows(tokens..<fused.rows))
        }
        compare(prefix + "compressed_per_frame", visual, width, &report)
        let mean = prompt.ids.indices.flatMap { index in
            [Float](unsafeUninitializedCapacity: width) { buffer, count in
                if let base = buffer.baseAddress { text.write(index, into: base) }
                count = width
            }
        }
        compare(prefix + "fused_text_mean", mean, width, &report)
        let fused = FusedPrompt(text: text, visionTokens: visual.count / width) { range, block in
            visual.withUnsafeBufferPointer { visual in
                guard let base = visual.baseAddress else { return }
                block.floats.update(from: base + range.lowerBound * width, count: range.count * width)
            }
        }
        try compareAnswer(fused, model, flow, prefix, &report)
    }

    private func compareAnswer(
        _ fused: FusedPrompt, _ model: LlavaMini, _ flow: Flow, _ prefix: String, _ report: inout ParityReport
    ) throws {
        let cache = model.language.makeCache(capacity: fused.count)
        let trace = TraceCollector()
        _ = model.language.append(count: fused.count, to: cache, trace: trace.collect) { fused.write($0, into: $1) }
        compare(prefix + "inputs_embeds", trace.values["hidden_0"] ?? [], model.hiddenSize, &report)
        guard let wanted = expected.integers(prefix + "greedy_ids") else { return }
        var first: [Float] = []
        let result = try model.language.generate(fused, options: .greedy, maxTokens: wanted.count, stopIDs: []) {
            _, logits in
            if first.isEmpty { first = Array(logits) }
            return true
        }
        compare(prefix + "logits_last", first, first.count, &report)
        add(prefix + "greedy_ids", wanted, result.ids.map { Int($0) }, exact: false, &report)
        let tokenizer = try TokenizerLoader.load(folder: URL(fileURLWithPath: folder + "/" + flow.tokenizer))
        // The reference strips whitespace from the decoded text.
        let text = tokenizer.decode(result.ids, skipSpecial: true).trimmingCharacters(in: .whitespacesAndNewlines)
        add(
            prefix + "text", flow.expected_text.unicodeScalars.map { Int($0.value) },
            text.unicodeScalars.map { Int($0.value) },
            exact: false, &report)
    }

    private func preprocessing(_ checkpoint: CheckpointFolder, _ flow: Flow) throws -> ImagePreprocessing {
        let aspect = flow.image_aspect_ratio_override ?? checkpoint.imageAspectRatio
        guard let config = checkpoint.preprocessorConfigBytes else {
            throw ParityError(message: "\(checkpoint.path): no preprocessor_config.json beside the tower")
        }
        return try ImagePreprocessing(
            preprocessorConfig: config, imageAspectRatio: aspect, framesAsImages: checkpoint.readsFramesAsImages)
    }

    private func prompt(_ flow: Flow, _ prefix: String, _ report: inout ParityReport) throws -> Prompt {
        guard let template = ConversationTemplate(name: flow.conv_mode) else {
            throw ParityError(message: "unknown conv_mode \(flow.conv_mode)")
        }
        let tokenizer = try TokenizerLoader.load(folder: URL(fileURLWithPath: folder + "/" + flow.tokenizer))
        let prompt = try PromptBuilder(tokenizer: tokenizer, template: template).build(
            question: flow.question, withImage: true)
        if let wanted = inputs.integers(prefix + "input_ids") {
            add(prefix + "input_ids", wanted, prompt.ids.map { Int($0) }, exact: true, &report)
        }
        return prompt
    }

    /// Per frame, the images that the vision tower gets.
    private func images(
        _ flow: Flow, _ preprocessing: ImagePreprocessing, ratio: Int, _ report: inout ParityReport
    ) throws -> [[RGBImage]] {
        guard flow.kind == "video" else {
            let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/" + flow.source)))
            return [preprocessing.parts(try StillImage.decode(bytes), ratio: ratio).map(preprocessing.square)]
        }
        guard let raw = inputs.bytes(flow.source), let shape = inputs.shape(flow.source), shape.count == 4,
            let rate = videoRate
        else { throw ParityError(message: "\(flow.source) is not [frames, H, W, 3] of bytes, or video_fps is missing") }
        let indices = ReferenceSampling.indices(frameCount: shape[0], framesPerSecond: rate)
        if let videoIndices { add("video_frame_indices", videoIndices, indices, exact: true, &report) }
        let size = shape[1] * shape[2] * 3
        return indices.map { index in
            let image = RGBImage(
                width: shape[2], height: shape[1], pixels: [UInt8](raw[index * size..<(index + 1) * size]))
            return preprocessing.frameParts(image, ratio: ratio)
        }
    }

    private func comparePixels(_ prefix: String, _ frames: [[RGBImage]], _ report: inout ParityReport) {
        guard let wanted = expected.bytes(prefix + "images_uint8_hwc") else { return }
        let found = frames.flatMap { $0 }.flatMap(\.pixels)
        let largest =
            found.count == wanted.count
            ? zip(found, wanted).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) } : Int(UInt8.max)
        report.tensors.append(
            TensorDeviation(
                name: prefix + "images_uint8_hwc", absolute: Double(largest), relative: Double(largest) / 255,
                cosine: 1,
                tolerance: 0, withinTolerance: largest == 0))
    }

    private func compare(_ name: String, _ found: [Float], _ width: Int, _ report: inout ParityReport) {
        guard let wanted = expected.floats(name) else { return }
        report.tensors.append(tolerance.compare(name, found: found, expected: wanted, rowLength: width))
    }

    private func add(_ name: String, _ wanted: [Int], _ found: [Int], exact: Bool, _ report: inout ParityReport) {
        report.greedy.append(
            GreedyComparison(
                name: name, expected: wanted, found: found, equal: wanted == found,
                required: exact || tolerance.precision == .f32))
    }
}
