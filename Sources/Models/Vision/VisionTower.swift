public import Tensors

/// A CLIP vision tower: pictures in, hidden states out.
///
/// Letters: B pictures, P patches per picture, D width. Source: spec section 2; checkpoint `openai/clip-vit-large-patch14-336`.
public final class VisionTower {
    public let config: VisionConfig
    private let compute: Compute
    private let patchEmbedding: Matrix  // [D, 3·p·p]
    private let classEmbedding: [Float]  // [D]
    private let positions: [Float]  // [1+P, D]
    private let preNorm: LayerNorm
    private let layers: [ClipLayer]
    private let pooling: Pooling?
    private let scratch = ClipScratch()
    private let patchMatrix = Scratch()
    private let residual = Scratch()

    private struct Pooling {
        let norm: LayerNorm
        let projection: Matrix?
    }

    /// - Parameters:
    ///   - weights: a reader under `vision_model.`.
    ///   - layerCount: how many layers to load; LLaVA-Mini never needs the last (features come from layer −2).
    ///   - projection: reader of `visual_projection.` for a two-tower checkpoint; loads the pooling norm too.
    public init(
        _ weights: WeightReader, config: VisionConfig, layerCount: Int, projection: WeightReader? = nil,
        pooled: Bool = false
    ) throws {
        self.config = config
        compute = weights.compute
        let width = config.hiddenSize
        patchEmbedding = try weights.matrix(
            "embeddings.patch_embedding.weight", [width, 3, config.patchSize, config.patchSize])
        classEmbedding = try weights.vector("embeddings.class_embedding", [width])
        positions = try weights.vector("embeddings.position_embedding.weight", [1 + config.patchCount, width])
        // "layrnorm" is how the checkpoint spells it.
        preNorm = try LayerNorm(weights.under("pre_layrnorm."), width, config.layerNormEpsilon)
        layers = try (0..<layerCount).map { index in
            try ClipLayer(
                weights.under("encoder.layers.\(index)."), width: width, inner: config.intermediateSize,
                heads: config.headCount, epsilon: config.layerNormEpsilon, causal: false)
        }
        if pooled || projection != nil {
            pooling = Pooling(
                norm: try LayerNorm(weights.under("post_layernorm."), width, config.layerNormEpsilon),
                projection: try projection?.matrix("weight", [config.projectionSize ?? 0, width]))
        } else {
            pooling = nil
        }
    }

    /// Hidden states of `pictures` after the loaded layers: [B · (1+P), D], valid until the next call.
    ///
    /// - Parameters:
    ///   - patchify: writes picture i's patch matrix [P, 3·p·p].
    ///   - trace: sees `hidden_0` … `hidden_L`.
    public func forward(
        pictures: Int, trace: Trace? = nil, patchify: (_ picture: Int, _ patches: Block) -> Void
    ) -> Block {
        let (count, width) = (config.patchCount, config.hiddenSize)
        let x = residual.block(.f32, rows: pictures * (1 + count), columns: width)
        for picture in 0..<pictures {
            let patches = patchMatrix.block(compute.precision, rows: count, columns: patchEmbedding.columns)
            patchify(picture, patches)
            let first = picture * (1 + count)
            compute.linear(patches, patchEmbedding, into: x.rows(first + 1..<first + 1 + count))
            x.rows(first..<first + 1).floats.update(from: classEmbedding, count: width)
            compute.add(positions, to: x.rows(first..<first + 1 + count).floats, count: positions.count)
        }
        preNorm.apply(x, into: x, compute)
        trace?("hidden_0", x)
        for (index, layer) in layers.enumerated() {
            layer.forward(x, sequences: pictures, compute: compute, scratch: scratch)
            trace?("hidden_\(index + 1)", x)
        }
        return x
    }

    /// post_layernorm of the class row of each picture, then the projection where there is one: [B, projection or D].
    public func pooled(_ hidden: Block, pictures: Int) -> (pooled: [Float], projected: [Float]?) {
        guard let pooling else { return ([], nil) }
        let width = config.hiddenSize
        var pooled = [Float](repeating: 0, count: pictures * width)
        var projected = pooling.projection.map { [Float](repeating: 0, count: pictures * $0.rows) }
        for picture in 0..<pictures {
            let row = hidden.rows(picture * (1 + config.patchCount)..<picture * (1 + config.patchCount) + 1)
            pooled.withUnsafeMutableBufferPointer { out in
                guard let base = out.baseAddress else { return }
                let target = Block(base + picture * width, rows: 1, columns: width)
                pooling.norm.apply(row, into: target, compute)
                if let projection = pooling.projection {
                    projected?.withUnsafeMutableBufferPointer { out in
                        guard let base = out.baseAddress else { return }
                        let result = Block(base + picture * projection.rows, rows: 1, columns: projection.rows)
                        compute.linear(target, projection, into: result)
                    }
                }
            }
        }
        return (pooled, projected)
    }
}
