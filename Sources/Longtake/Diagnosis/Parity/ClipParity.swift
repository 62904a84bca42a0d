internal import Checkpoints
internal import Foundation
internal import Models
internal import Tensors

/// A golden case of CLIP towers: hidden states, pooled outputs and, for two towers, embeddings and similarities.
struct ClipParity {
    let folder: String
    let compute: Compute
    let inputs: GoldenTensors
    let expected: GoldenTensors
    let tolerance: ParityTolerance

    /// Compares all towers of the case.
    ///
    /// - Parameters:
    ///   - towers: single vision towers (`vision_models` of case.json), name to folder.
    ///   - pairs: folders of two-tower checkpoints.
    func run(towers: [String: String], pairs: [String], into report: inout ParityReport) throws {
        for (name, path) in towers.sorted(by: { $0.key < $1.key }) {
            let checkpoint = try CheckpointFolder(path: folder + "/" + path)
            let hidden = try visionStates(name, checkpoint, named: "hidden_states", into: &report)
            let config = hidden.config
            // "selected": hidden state −2 without the class token's row.
            let rows = hidden.states[config.layerCount - 1]
            let width = config.hiddenSize
            let length = 1 + config.patchCount
            let imageCount = rows.count / (length * width)
            let selected = (0..<imageCount).flatMap { (image: Int) -> ArraySlice<Float> in
                let (first, end) = ((image * length + 1) * width, (image + 1) * length * width)
                return rows[first..<end]
            }
            compare("\(name).selected", selected, width, into: &report)
            compare("\(name).pooler_output", hidden.pooled, width, into: &report)
        }
        for name in pairs { try runPair(name, into: &report) }
    }

    private struct VisionStates {
        let config: VisionConfig
        let states: [[Float]]
        let pooled: [Float]
        let projected: [Float]?
    }

    private func visionStates(
        _ name: String, _ checkpoint: CheckpointFolder, named key: String, into report: inout ParityReport
    ) throws -> VisionStates {
        guard let config = checkpoint.vision else { throw ParityError(message: "\(name) has no vision tower") }
        let tensors = checkpoint.weights.tensors
        let projection = config.projectionSize != nil && tensors[TensorName.visualProjection + "weight"] != nil
        let tower = try VisionTower(
            WeightReader(tensors, prefix: TensorName.visionTower, compute: compute), config: config,
            layerCount: config.layerCount,
            projection: projection ? WeightReader(tensors, prefix: TensorName.visualProjection, compute: compute) : nil,
            pooled: true)
        guard let pixels = inputs.floats("\(name).pixel_values") else {
            throw ParityError(message: "inputs.safetensors has no \(name).pixel_values")
        }
        let size = 3 * config.imageSize * config.imageSize
        let trace = TraceCollector()
        let imageCount = pixels.count / size
        let hidden = pixels.withUnsafeBufferPointer { pixels in
            tower.forward(images: imageCount, trace: trace.collect) { image, out in
                guard let base = pixels.baseAddress else { return }
                compute.patchify(
                    planes: base + image * size, grid: config.gridSize, patch: config.patchSize, into: out)
            }
        }
        let (pooled, projected) = tower.pooled(hidden, images: imageCount)
        let states = (0...config.layerCount).map { trace.values["hidden_\($0)"] ?? [] }
        for (index, state) in states.enumerated() {
            compare("\(name).\(key).\(index)", state, config.hiddenSize, into: &report)
        }
        return VisionStates(config: config, states: states, pooled: pooled, projected: projected)
    }

    private func runPair(_ name: String, into report: inout ParityReport) throws {
        let checkpoint = try CheckpointFolder(path: folder + "/" + name)
        let vision = try visionStates(name, checkpoint, named: "vision_hidden_states", into: &report)
        compare("\(name).vision_pooler_output", vision.pooled, vision.config.hiddenSize, into: &report)
        let images = vision.projected ?? []
        let tensors = checkpoint.weights.tensors
        guard let config = checkpoint.textTower else { throw ParityError(message: "\(name) has no text tower") }
        let size = config.projectionSize
        compare("\(name).image_features_projected", images, size, into: &report)

        let tower = try TextTower(
            WeightReader(tensors, prefix: TensorName.textTower, compute: compute),
            projection: WeightReader(tensors, prefix: TensorName.textProjection, compute: compute), config: config)
        guard let ids = inputs.integers("\(name).input_ids"), let mask = inputs.integers("\(name).attention_mask"),
            let length = inputs.shape("\(name).input_ids")?.last
        else { throw ParityError(message: "inputs.safetensors has no \(name).input_ids") }
        let trace = TraceCollector()
        var (pooled, projected): ([Float], [Float]) = ([], [])
        for row in 0..<ids.count / length {
            let line = ids[row * length..<(row + 1) * length].map { Int32($0) }
            let result = try tower.embed(line, trace: trace.collect)
            pooled += result.pooled
            projected += result.projected
        }
        // Without a mask, a padded position attends to padding; nothing uses its state.
        let kept = mask.indices.filter { mask[$0] == 1 }
        for layer in 0...config.layerCount {
            let state = trace.values["hidden_\(layer)"] ?? []
            compare(
                "\(name).text_hidden_states.\(layer)", select(state, kept, config.hiddenSize), config.hiddenSize,
                keeping: kept, into: &report)
        }
        compare("\(name).text_pooler_output", pooled, config.hiddenSize, into: &report)
        compare("\(name).text_features_projected", projected, size, into: &report)
        let (imagesUnit, textsUnit) = (normalized(images, size), normalized(projected, size))
        compare("\(name).image_embeds_normalised", imagesUnit, size, into: &report)
        compare("\(name).text_embeds_normalised", textsUnit, size, into: &report)
        let scale = expf((try tensors["logit_scale"]?.floats())?.first ?? 0)
        var logits: [Float] = []
        for image in 0..<imagesUnit.count / size {
            for text in 0..<textsUnit.count / size {
                logits.append(
                    scale * (0..<size).reduce(0) { $0 + imagesUnit[image * size + $1] * textsUnit[text * size + $1] })
            }
        }
        compare("\(name).logits_per_image", logits, textsUnit.count / size, into: &report)
    }

    private func normalized(_ rows: [Float], _ size: Int) -> [Float] {
        stride(from: 0, to: rows.count, by: size).flatMap { start in
            let row = rows[start..<start + size]
            let length = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            return row.map { $0 / length }
        }
    }

    private func select(_ values: [Float], _ rows: [Int], _ width: Int) -> [Float] {
        rows.flatMap { values[$0 * width..<($0 + 1) * width] }
    }

    private func compare(
        _ name: String, _ found: [Float], _ rowLength: Int, keeping rows: [Int]? = nil, into report: inout ParityReport
    ) {
        guard var wanted = expected.floats(name) else { return }
        if let rows { wanted = select(wanted, rows, rowLength) }
        report.tensors.append(tolerance.compare(name, found: found, expected: wanted, rowLength: rowLength))
    }
}
