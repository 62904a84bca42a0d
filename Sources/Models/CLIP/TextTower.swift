public import Checkpoints
internal import Tensors

// Letters: T tokens, D width, V vocabulary, E projection size.

/// The text tower of a two-tower CLIP checkpoint: embeds a caption in the space of the image embeddings.
///
/// Padding is omitted: it follows the pooled position, so under the causal mask it changes nothing.
/// Source: docs/model.md, section 2.
public final class TextTower {
    /// The tower's shape.
    public let config: TextTowerConfig
    private let compute: Compute
    private let tokens: Matrix  // embeddings.token_embedding [V, D]
    private let positions: [Float]  // embeddings.position_embedding [max positions, D]
    private let layers: [ClipLayer]  // encoder.layers
    private let finalNorm: LayerNorm  // final_layer_norm [D]
    private let projection: Matrix  // text_projection [E, D]
    private let scratch = LayerScratch()
    private let residual = Scratch()  // [T, D]

    /// Loads the tower.
    ///
    /// - Parameters:
    ///   - weights: a reader below `text_model.`.
    ///   - projection: a reader below `text_projection.`.
    public init(_ weights: WeightReader, projection: WeightReader, config: TextTowerConfig) throws {
        self.config = config
        compute = weights.compute
        let width = config.hiddenSize
        tokens = try weights.matrix("embeddings.token_embedding.weight", [config.vocabularySize, width])
        positions = try weights.vector("embeddings.position_embedding.weight", [config.maxPositions, width])
        layers = try (0..<config.layerCount).map { index in
            try ClipLayer(
                weights.under(TensorName.encoderLayer(index)), width: width, inner: config.intermediateSize,
                heads: config.headCount, epsilon: config.layerNormEpsilon)
        }
        finalNorm = try LayerNorm(weights.under("final_layer_norm."), width, epsilon: config.layerNormEpsilon)
        self.projection = try projection.matrix("weight", [config.projectionSize, width])
    }

    /// The row to pool: that of the largest ID for legacy checkpoints (`eos_token_id` 2), else that of the first end
    /// token.
    func pooledPosition(_ ids: [Int32]) -> Int {
        if config.endTokenID == 2 {
            return ids.indices.max { ids[$0] < ids[$1] || (ids[$0] == ids[$1] && $0 > $1) } ?? 0
        }
        return ids.firstIndex(of: Int32(config.endTokenID)) ?? 0
    }

    /// The pooled row [D] and the embedding [E] of `ids` (T at most `maxPositions`), not normalized to length 1.
    ///
    /// - Throws: `ModelError` if an ID is outside the vocabulary, or `ids` is empty or too long.
    public func embed(_ ids: [Int32], trace: Trace? = nil) throws -> (pooled: [Float], projected: [Float]) {
        guard !ids.isEmpty, ids.count <= config.maxPositions,
            ids.allSatisfy({ $0 >= 0 && Int($0) < config.vocabularySize })
        else {
            throw ModelError(
                code: .badPrompt,
                message:
                    "the caption has \(ids.count) tokens; the text tower takes 1 to \(config.maxPositions), with IDs "
                    + "below \(config.vocabularySize)")
        }
        let width = config.hiddenSize
        let x = residual.matrix(.f32, rows: ids.count, columns: width)  // [T, D]
        for (row, id) in ids.enumerated() {
            tokens.copyRow(Int(id), into: x.rows(row..<row + 1).floats, kernels: compute.kernels)
        }
        compute.add(positions, to: x.floats, count: ids.count * width)
        trace?("hidden_0", x)
        let context = LayerContext(compute: compute, scratch: scratch, sections: .language).causal(from: 0)
        for (index, layer) in layers.enumerated() {
            layer(x, context)
            trace?("hidden_\(index + 1)", x)
        }
        finalNorm(x, into: x)
        let row = pooledPosition(ids)
        let pooled = x.rows(row..<row + 1)  // [1, D]
        var projected = [Float](repeating: 0, count: projection.rows)  // [E]
        projected.withUnsafeMutableBufferPointer { out in
            guard let base = out.baseAddress else { return }
            compute.linear(pooled, projection, into: MatrixView(base, rows: 1, columns: projection.rows))
        }
        return (Array(UnsafeBufferPointer(start: pooled.floats, count: width)), projected)
    }
}
