internal import Checkpoints
internal import Tensors

// Letters: B sequences, T rows and S keys of each, A rows of them that are computed, H width, I inner width, h query
// heads, h_kv KV heads, d head size.

/// A Llama decoder layer: x += Attn(RMSNorm(x)); x += W_down(silu(W_gate n) · W_up n), n = RMSNorm(x).
///
/// Used by the language model and by pre-fusion. Source: docs/model.md, section 7; tensors `layers.N.*`.
final class DecoderLayer {
    private let config: LanguageConfig
    private let attentionNorm: [Float]  // [H]
    private let query: Matrix  // [h·d, H]
    private let key: Matrix  // [h_kv·d, H]
    private let value: Matrix  // [h_kv·d, H]
    private let output: Matrix  // [H, h·d]
    private let mlpNorm: [Float]  // [H]
    private let gate: Matrix  // [I, H]
    private let up: Matrix  // [I, H]
    private let down: Matrix  // [H, I]
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

    /// Writes the keys and values of `x` [B · T, H] f32 at positions `start`... and returns its normalized rows
    /// [B · T, H].
    ///
    /// - Parameters:
    ///   - keys, values: [B · T, h_kv · d], the rows to write.
    func project(
        _ x: MatrixView, sequences: Int, start: Int, keys: MatrixView, values: MatrixView, rope: RotaryEmbedding,
        compute: Compute,
        scratch: DecoderScratch
    ) -> MatrixView {
        let single = x.rows == 1
        let type = single ? DType.f32 : compute.precision
        let normed = scratch.normed.block(type, rows: x.rows, columns: x.columns)  // [B · T, H]
        compute.rmsNorm(x, attentionNorm, epsilon: config.rmsNormEpsilon, into: normed)
        // A single row is computed in f32 regardless of the precision, and rounded when it is stored.
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

    /// The rotated queries [B · A, h · d] of normalized rows [B · A, H]; each sequence's first row is at position
    /// `start`.
    ///
    /// A single row is computed in f32, even if it was normalized with others in the precision.
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
        let q = scratch.query.block(normed.type, rows: normed.rows, columns: query.rows)  // [B · A, h·d]
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

    /// Computes attention and MLP of the rows `x` [B · A, H] f32 in place, given their queries.
    ///
    /// - Parameters:
    ///   - q: [B · A, h · d].
    ///   - start: position of each sequence's first row of `x`; row i attends to the first `start + i + 1` keys.
    ///   - keys, values: [B · S, h_kv · d].
    ///   - watched: heads to record, and the function that receives their attention weights [heads, S] of the last row;
    ///     only for one sequence.
    func attend(
        _ x: MatrixView, queries q: MatrixView, sequences: Int, start: Int, keys: MatrixView, values: MatrixView,
        compute: Compute,
        scratch: DecoderScratch, watched: (heads: [Int], look: (MatrixView) -> Void)? = nil
    ) {
        let type = q.type
        let mixed = scratch.mixed.block(type, rows: x.rows, columns: query.rows)  // [B · A, h·d]
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
        let normed = scratch.normed.block(type, rows: x.rows, columns: x.columns)  // [B · A, H]
        compute.rmsNorm(x, mlpNorm, epsilon: config.rmsNormEpsilon, into: normed)
        let gated = scratch.gate.block(type, rows: x.rows, columns: gate.rows)  // [B · A, I]
        let upped = scratch.up.block(type, rows: x.rows, columns: gate.rows)  // [B · A, I]
        compute.linear(normed, gate, into: gated)
        compute.linear(normed, up, into: upped)
        compute.siluMultiply(gated, upped)
        compute.linear(gated, down, accumulate: true, into: x)
    }
}

/// Scratch memory of decoder layers, reused by every layer and every call.
final class DecoderScratch {
    let normed = Scratch()  // [B · T, H]
    let query = Scratch()  // [B · A, h·d]
    let key = Scratch()  // [1, h_kv·d], or a normalized row [1, H]
    let value = Scratch()  // [1, h_kv·d]
    let mixed = Scratch()  // [B · A, h·d]
    let gate = Scratch()  // [B · A, I]
    let up = Scratch()  // [B · A, I]
}
