public import Checkpoints
public import Tensors

/// A CLIP vision tower, from images to hidden states.
///
/// Letters: B images, P patches per image, p patch side in pixels, D width, E embedding size.
/// Source: docs/model.md, section 2; checkpoint `openai/clip-vit-large-patch14-336`.
public final class VisionTower {
    /// The tower's shape.
    public let config: VisionConfig
    private let compute: Compute
    private let patchEmbedding: Matrix  // embeddings.patch_embedding [D, 3·p·p]
    private let classEmbedding: [Float]  // embeddings.class_embedding [D]
    private let positions: [Float]  // embeddings.position_embedding [1+P, D]
    private let preNorm: LayerNorm  // pre_layrnorm [D]
    private let layers: [ClipLayer]  // encoder.layers
    /// The layers after the hidden state that `forward` returns; only embeddings need them.
    private let laterLayers: [ClipLayer]
    private let pooling: Pooling?
    private let scratch = LayerScratch()
    private let patchMatrix = Scratch()  // [P, 3·p·p]
    private let residual = Scratch()  // [B · (1+P), D]
    private let classRows = Scratch()  // [B, D]
    private let pooledRow = Scratch()  // [1, D]

    private struct Pooling {
        let norm: LayerNorm  // post_layernorm [D]
        let projection: Matrix?  // visual_projection [E, D]
    }

    /// Loads the layers that are needed.
    ///
    /// - Parameters:
    ///   - weights: a reader below `vision_model.`.
    ///   - layerCount: the number of layers that `forward` runs; LLaVA-Mini's features are hidden state −2.
    ///   - projection: a reader below `visual_projection.` of a two-tower checkpoint; also loads the pooling norm and
    ///     all layers.
    ///   - pooled: loads the pooling norm even without a projection.
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
        // The checkpoint's spelling is "layrnorm".
        preNorm = try LayerNorm(weights.under("pre_layrnorm."), width, epsilon: config.layerNormEpsilon)
        let all = try (0..<(projection == nil ? layerCount : config.layerCount)).map { index in
            try ClipLayer(
                weights.under(TensorName.encoderLayer(index)), width: width, inner: config.intermediateSize,
                heads: config.headCount, epsilon: config.layerNormEpsilon)
        }
        (layers, laterLayers) = (Array(all[..<layerCount]), Array(all[layerCount...]))
        if pooled || projection != nil {
            pooling = Pooling(
                norm: try LayerNorm(weights.under("post_layernorm."), width, epsilon: config.layerNormEpsilon),
                projection: try projection?.matrix("weight", [config.projectionSize ?? 0, width]))
        } else {
            pooling = nil
        }
    }

    /// Computes the hidden states of B images after `layerCount` layers: [B · (1+P), D] f32, valid until the next call.
    ///
    /// - Parameters:
    ///   - patchify: writes the patch matrix [P, 3·p·p] of image i.
    ///   - trace: receives `hidden_0` … `hidden_L`.
    public func forward(
        images: Int, trace: Trace? = nil, patchify: (_ image: Int, _ patches: MatrixView) -> Void
    ) -> MatrixView {
        let (count, width) = (config.patchCount, config.hiddenSize)
        let x = residual.matrix(.f32, rows: images * (1 + count), columns: width)  // [B · (1+P), D]
        for image in 0..<images {
            let patches = patchMatrix.matrix(compute.precision, rows: count, columns: patchEmbedding.columns)
            compute.timed(.patchify) { patchify(image, patches) }
            let first = image * (1 + count)
            compute.timed(.patchEmbedding) {
                compute.linear(patches, patchEmbedding, into: x.rows(first + 1..<first + 1 + count))
                x.rows(first..<first + 1).floats.update(from: classEmbedding, count: width)
                compute.add(positions, to: x.rows(first..<first + 1 + count).floats, count: positions.count)
            }
        }
        compute.timed(.visionNorms) { preNorm(x, into: x) }
        trace?("hidden_0", x)
        for (index, layer) in layers.enumerated() {
            layer(x, context(images, .vision))
            trace?("hidden_\(index + 1)", x)
        }
        return x
    }

    private func context(_ images: Int, _ sections: LayerSections) -> LayerContext {
        LayerContext(compute: compute, scratch: scratch, sections: sections, sequences: images)
    }

    /// Elements of an embedding, E; nil without a projection.
    public var embeddingSize: Int? { pooling?.projection?.rows }

    /// Embeds images step − 1, 2 · step − 1, …: out [B / step, E] f32, each row of length 1.
    ///
    /// `hidden` [B · (1+P), D] is the result of `forward`; it is overwritten if more than one layer remains.
    /// - Throws: `ModelError` `not_a_number` for a row whose length is zero or not finite.
    public func embed(_ hidden: MatrixView, images: Int, every step: Int = 1, into out: MatrixView) throws {
        guard let pooling, let projection = pooling.projection else { return }
        let (width, length) = (config.hiddenSize, 1 + config.patchCount)
        let x = classRows.matrix(.f32, rows: images / step, columns: width)  // [B / step, D]
        for layer in laterLayers.dropLast() { layer(hidden, context(images, .frameEmbedding)) }
        if step == 1, let last = laterLayers.last {
            last.firstRows(of: hidden, into: x, context(images, .frameEmbedding))
        } else {
            for row in 0..<images / step {
                let first = ((row + 1) * step - 1) * length
                let (image, target) = (hidden.rows(first..<first + length), x.rows(row..<row + 1))
                if let last = laterLayers.last {
                    last.firstRows(of: image, into: target, context(1, .frameEmbedding))
                } else {
                    target.floats.update(from: image.floats, count: width)
                }
            }
        }
        let pooled = pooledRow.matrix(.f32, rows: 1, columns: width)  // [1, D]
        for row in 0..<x.rows {
            let target = out.rows(row..<row + 1)
            pooling.norm(x.rows(row..<row + 1), into: pooled)
            compute.linear(pooled, projection, into: target)
            try Self.normalize(target.floats, count: target.columns)
        }
    }

    /// Scales `count` values to a vector of length 1.
    private static func normalize(_ values: UnsafeMutablePointer<Float>, count: Int) throws {
        let length = (0..<count).reduce(0.0) { $0 + Double(values[$1]) * Double(values[$1]) }.squareRoot()
        guard length.isFinite, length > 0 else { throw ModelError.notANumber }
        for index in 0..<count { values[index] = Float(Double(values[index]) / length) }
    }

    /// post_layernorm of each image's class row [B, D], and its projection [B, E] if there is one.
    public func pooled(_ hidden: MatrixView, images: Int) -> (pooled: [Float], projected: [Float]?) {
        guard let pooling else { return ([], nil) }
        let width = config.hiddenSize
        var pooled = [Float](repeating: 0, count: images * width)  // [B, D]
        var projected = pooling.projection.map { [Float](repeating: 0, count: images * $0.rows) }  // [B, E]
        for image in 0..<images {
            let row = hidden.rows(image * (1 + config.patchCount)..<image * (1 + config.patchCount) + 1)
            pooled.withUnsafeMutableBufferPointer { out in
                guard let base = out.baseAddress else { return }
                let target = MatrixView(base + image * width, rows: 1, columns: width)
                pooling.norm(row, into: target)
                if let projection = pooling.projection {
                    projected?.withUnsafeMutableBufferPointer { out in
                        guard let base = out.baseAddress else { return }
                        let result = MatrixView(base + image * projection.rows, rows: 1, columns: projection.rows)
                        compute.linear(target, projection, into: result)
                    }
                }
            }
        }
        return (pooled, projected)
    }
}
