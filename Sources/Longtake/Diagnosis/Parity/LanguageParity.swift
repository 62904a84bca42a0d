internal import Checkpoints
internal import Models
internal import Tensors

/// A golden case of plain Llama decoders: hidden states and logits of two prompts, greedy IDs of one.
struct LanguageParity {
    let folder: String
    let compute: Compute
    let inputs: GoldenTensors
    let expected: GoldenTensors
    let tolerance: ParityTolerance

    /// One model of case.json: paths of its config and weights, and the positions compared of the prompt of 200 IDs.
    struct Entry: Decodable {
        let config: String
        let weights: String
        let positions_of_200: [Int]
    }

    func run(_ models: [String: Entry], into report: inout ParityReport) throws {
        for (name, entry) in models.sorted(by: { $0.key < $1.key }) {
            let configFolder = folder + "/" + entry.config.dropLastPathComponent
            let checkpoint = try CheckpointFolder(
                path: configFolder, weightsFrom: folder + "/" + entry.weights.dropLastPathComponent)
            guard let config = checkpoint.language else {
                throw ParityError(message: "\(configFolder) holds no language model")
            }
            let tensors = checkpoint.weights.tensors
            let model = try LanguageModel(WeightReader(tensors, compute: compute), config: config)
            let frequencies = RotaryEmbedding(config.rope, headSize: config.headSize).frequencies
            compare("\(name).inv_freq", frequencies, frequencies.count, into: &report)
            try runPrompt(model, name, "prompt40", rows: nil, into: &report)
            try runPrompt(model, name, "prompt200", rows: entry.positions_of_200, into: &report)
        }
    }

    private func runPrompt(
        _ model: LanguageModel, _ name: String, _ prompt: String, rows: [Int]?, into report: inout ParityReport
    ) throws {
        guard let ids = inputs.integers("\(name).\(prompt)") else { return }
        let (width, vocabulary) = (model.config.hiddenSize, model.config.vocabularySize)
        let trace = TraceCollector()
        let cache = model.makeCache(capacity: ids.count)
        let write = { (range: Range<Int>, block: MatrixView) in
            for index in range {
                model.embed(
                    Int32(ids[index]),
                    into: block.rows(index - range.lowerBound..<index - range.lowerBound + 1).floats)
            }
        }
        _ = model.append(count: ids.count, to: cache, trace: trace.collect, rows: write)
        let kept = rows ?? Array(ids.indices)
        var states = (0...model.config.layerCount).map { layer in
            let state = trace.values["hidden_\(layer)"] ?? []
            return kept.flatMap { state[$0 * width..<($0 + 1) * width] }
        }
        var logits = [Float](repeating: 0, count: kept.count * vocabulary)
        states[model.config.layerCount].withUnsafeMutableBufferPointer { last in
            logits.withUnsafeMutableBufferPointer { logits in
                guard let base = last.baseAddress, let out = logits.baseAddress else { return }
                let block = MatrixView(base, rows: kept.count, columns: width)
                model.logits(block, into: out)
                model.finalNorm(block, into: block)
            }
        }
        let suffix = rows == nil ? "40" : "200_at"
        compare("\(name).hidden\(suffix)", states.flatMap { $0 }, width, into: &report)
        compare("\(name).logits\(suffix)", logits, vocabulary, into: &report)

        guard rows == nil, let wanted = expected.integers("\(name).greedy_ids_from_prompt40") else { return }
        let generation = model.makeCache(capacity: ids.count + wanted.count)
        var hidden = model.append(count: ids.count, to: generation, rows: write)
        var sampler = Sampler(.greedy)
        var found: [Int] = []
        var row = [Float](repeating: 0, count: vocabulary)
        while found.count < wanted.count {
            let id = try row.withUnsafeMutableBufferPointer { row in
                if let base = row.baseAddress { model.logits(hidden, into: base) }
                return try sampler.next(UnsafeBufferPointer(row))
            }
            found.append(Int(id))
            if found.count < wanted.count {
                hidden = model.append(count: 1, to: generation) { model.embed(id, into: $1.floats) }
            }
        }
        report.greedy.append(
            GreedyComparison(
                name: "\(name).greedy_ids_from_prompt40", expected: wanted, found: found, equal: wanted == found,
                required: tolerance.precision == .f32))
    }

    private func compare(_ name: String, _ found: [Float], _ rowLength: Int, into report: inout ParityReport) {
        guard let wanted = expected.floats(name) else { return }
        report.tensors.append(tolerance.compare(name, found: found, expected: wanted, rowLength: rowLength))
    }
}

extension String {
    /// The path up to its last slash; "." if it has none.
    var dropLastPathComponent: String {
        guard let slash = lastIndex(of: "/") else { return "." }
        return String(self[..<slash])
    }
}
