internal import Checkpoints
internal import Tensors

/// One Llama decoder layer: x += Attn(RMSNorm(x)); x += W_down(silu(W_gate h) · W_up h), h = RMSNorm(x).
///
/// Both the language model's layers and the pre-fusion layers. Source: docs/model.md, section 7; tensors `layers.N.*`.
final class DecoderLayer {
    private let config: LanguageConfig
    private let attentionNorm: [Float]
    private let query: Matrix
    private let key: Matrix
    private let value: Matrix
    private let output: Matrix
    private let mlpNorm: [Float]
    private let gate: Matrix
    private let up: Matrix
    private let down: Matrix
    private let shape: AttentionShape

    init(_ weights: WeightReader, config: LanguageConfig) throws {
        self.config = config
        let (width, inner, head) = (config.hiddenSize, config.intermediateSize, config.headSize)
        let (queries, pairs) = (config.headCount * head, config.keyValueHeadCount * head)
        func matrix(_ name: String, _ shape: [Int]) throws -> Matrix {
            try weights.matrix(name + ".weight", shape)
        }
        attentionNorm = try weights.vector("input_layernorm.weight", [width])
        query = try matrix("self_attn.q_proj", [queries, width])
        key = try matrix("self_attn.k_proj", [pairs, width])
        value = try matrix("self_attn.v_proj", [pairs, width])
        output = try matrix("self_attn.o_proj", [width, queries])
        mlpNorm = try weights.vector("post_attention_layernorm.weight", [width])
        gate = try matrix("mlp.gate_proj", [inner, width])
        up = try matrix("mlp.up_proj", [inner, width])
        down = try matrix("mlp.down_proj", [width, inner])
        shape = AttentionShape(heads: config.headCount, keyValueHeads: config.keyValueHeadCount, headSize: head)
    }

    /// Writes keys and values of `x` [sequences · T, H] at positions `start`... and returns the normed rows.
    ///
    /// - Parameters:
    ///   - keys, values: [sequences · T, keyValueHeads · headSize], the rows to be written.
    func project(
        _ x: MatrixView, sequences: Int, start: Int, keys: MatrixView, values: MatrixView, rope: RotaryEmbedding,
        compute: Compute,
        scratch: DecoderScratch
    ) -> MatrixView {
        let single = x.rows == 1
        let type = single ? DType.f32 : compute.precision
        let normed = scratch.normed.block(type, rows: x.rows, columns: x.columns)
        compute.rmsNorm(x, attentionNorm, epsilon: config.rmsNormEpsilon, into: normed)
        // A single row is computed in f32 whatever the precision, and narrowed when it is stored.
        let k = single && keys.type != .f32 ? scratch.key.block(.f32, rows: 1, columns: keys.columns) : keys
        let v = single && keys.type != .f32 ? scratch.value.block(.f32, rows: 1, columns: keys.columns) : values
        compute.linear(normed, key, into: k)
        compute.linear(normed, value, into: v)
        let length = x.rows / sequences
        let rotation = rope.rotation(from: start, count: length)
        for sequence in 0..<sequences {
            compute.rotate(
                k.rows(sequence * length..<(sequence + 1) * length), heads: config.keyValueHeadCount,
                headSize: config.headSize, by: rotation)
        }
        if single, keys.type != .f32 {
            compute.convert(k, into: keys)
            compute.convert(v, into: values)
        }
        return normed
    }

    /// The queries of normed rows [sequences · A, H], the first of each sequence at position `start`.
    ///
    /// A single row is computed in f32, though it was normed for the products of many.
    func queries(
        _ normed: MatrixView, sequences: Int, start: Int, rope: RotaryEmbedding, compute: Compute,
        scratch: DecoderScratch
    ) -> MatrixView {
        var normed = normed
        if normed.rows == 1, normed.type != .f32 {
            let wide = scratch.key.block(.f32, rows: 1, columns: normed.columns)
            compute.convert(normed, into: wide)
            normed = wide
        }
        let q = scratch.query.block(normed.type, rows: normed.rows, columns: query.rows)
        compute.linear(normed, query, into: q)
        let length = normed.rows / sequences
        let rotation = rope.rotation(from: start, count: length)
        for sequence in 0..<sequences {
            compute.rotate(
                q.rows(sequence * length..<(sequence + 1) * length), heads: config.headCount, headSize: config.headSize,
                by: rotation)
        }
        return q
    }

    /// Attention and MLP of the rows `x` [sequences · A, H] in place, given their queries.
    ///
    /// - Parameters:
    ///   - start: position of a sequence's first row of `x`; it sees the keys up to itself.
    ///   - keys, values: [sequences · S, ·], S keys of each sequence.
    ///   - watched: heads to look at, and who gets their attention weights [heads, S] of the last row; of one sequence only.
    func attend(
        _ x: MatrixView, queries q: MatrixView, sequences: Int, start: Int, keys: MatrixView, values: MatrixView,
        compute: Compute,
        scratch: DecoderScratch, watched: (heads: [Int], look: (MatrixView) -> Void)? = nil
    ) {
        let type = q.type
        let mixed = scratch.mixed.block(type, rows: x.rows, columns: query.rows)
        compute.attention(
            sequences: sequences, query: q, keys: keys, values: values, shape: shape, firstVisible: start + 1,
            into: mixed)
        if let watched {
            precondition(sequences == 1, "one sequence at a time can be watched")
            watched.look(
                compute.attentionWeights(
                    query: q.rows(q.rows - 1..<q.rows), keys: keys, shape: shape, heads: watched.heads))
        }
        compute.linear(mixed, output, accumulate: true, into: x)
        let normed = scratch.normed.block(type, rows: x.rows, columns: x.columns)
        compute.rmsNorm(x, mlpNorm, epsilon: config.rmsNormEpsilon, into: normed)
        let gated = scratch.gate.block(type, rows: x.rows, columns: gate.rows)
        let upped = scratch.up.block(type, rows: x.rows, columns: gate.rows)
        compute.linear(normed, gate, into: gated)
        compute.linear(normed, up, into: upped)
        compute.siluMultiply(gated, upped)
        compute.linear(gated, down, accumulate: true, into: x)
    }
}

/// The working memory of decoder layers, reused by every layer and every call.
final class DecoderScratch {
    let normed = Scratch()
    let query = Scratch()
    let key = Scratch()
    let value = Scratch()
    let mixed = Scratch()
    let gate = Scratch()
    let up = Scratch()
}
