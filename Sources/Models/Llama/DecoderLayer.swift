internal import Checkpoints
internal import Tensors

// Letters: B sequences, T rows and S keys of each, A rows of them that are computed, H width, I inner width, h query
// heads, h_kv KV heads, d head size.

/// Grouped-query attention with rotary positions: o_proj(softmax(q kᵀ / √d) v), no biases.
struct LlamaAttention {
    let query: Linear  // q_proj [h·d, H]
    let key: Linear  // k_proj [h_kv·d, H]
    let value: Linear  // v_proj [h_kv·d, H]
    let output: Linear  // o_proj [H, h·d]
    private let rope: RotaryEmbedding
    let shape: AttentionShape

    init(_ weights: WeightReader, _ config: LanguageConfig, rope: RotaryEmbedding) throws {
        shape = AttentionShape(
            heads: config.headCount, keyValueHeads: config.keyValueHeadCount, headSize: config.headSize)
        let (queries, keys) = (shape.heads * shape.headSize, shape.keyValueHeads * shape.headSize)
        query = try Linear(weights.under("q_proj."), config.hiddenSize, queries, bias: false)
        key = try Linear(weights.under("k_proj."), config.hiddenSize, keys, bias: false)
        value = try Linear(weights.under("v_proj."), config.hiddenSize, keys, bias: false)
        output = try Linear(weights.under("o_proj."), queries, config.hiddenSize, bias: false)
        self.rope = rope
    }

    /// Bytes of the weights.
    var weightBytes: Int { [query, key, value, output].reduce(0) { $0 + $1.weight.byteCount } }

    /// Writes the rotated keys and the values of `x` [B · T, H] into `keys` and `values` [B · T, h_kv · d].
    func project(_ x: MatrixView, keys: MatrixView, values: MatrixView, _ context: LayerContext) {
        // A single row is computed in f32 regardless of the precision; others in the precision. They are rounded when
        // they are stored.
        let type = x.rows == 1 ? DType.f32 : context.compute.precision
        let isRounded = keys.type != type
        let k = isRounded ? context.scratch.key.matrix(type, rows: x.rows, columns: keys.columns) : keys
        let v = isRounded ? context.scratch.value.matrix(type, rows: x.rows, columns: keys.columns) : values
        context.compute.sharingInput(x) {
            key(x, into: k)
            value(x, into: v)
        }
        rotate(k, heads: shape.keyValueHeads, context)
        if isRounded {
            context.compute.store(k, into: keys, shape: shape)
            context.compute.store(v, into: values, shape: shape)
        }
    }

    /// The rotated queries [B · A, h · d] of `x` [B · A, H]; valid until the next call.
    ///
    /// A single row is computed in f32, even if it was normalized with others in the precision.
    func queries(_ x: MatrixView, _ context: LayerContext) -> MatrixView {
        var x = x
        if x.rows == 1, x.type != .f32 {
            let upcast = context.scratch.key.matrix(.f32, rows: 1, columns: x.columns)
            context.compute.convert(x, into: upcast)
            x = upcast
        }
        let q = context.scratch.query.matrix(x.type, rows: x.rows, columns: query.outputs)  // [B · A, h·d]
        query(x, into: q)
        rotate(q, heads: shape.heads, context)
        return q
    }

    /// residual += o_proj(Attn(q, k, v)): queries [B · A, h · d], keys and values [B · S, h_kv · d], residual [B · A, H].
    func callAsFunction(
        _ queries: MatrixView, keys: MatrixView, values: MatrixView, addingTo residual: MatrixView,
        _ context: LayerContext
    ) {
        let mixed = context.scratch.mixed.matrix(queries.type, rows: queries.rows, columns: queries.columns)
        context.compute.attention(
            sequences: context.sequences, query: queries, keys: keys, values: values, shape: shape, mask: context.mask,
            into: mixed)
        if let receiver = context.weightsReceiver {
            precondition(context.sequences == 1, "attention is recorded for one sequence at a time")
            let last = queries.rows(queries.rows - 1..<queries.rows)
            context.compute.attentionWeights(
                query: last, Compute.KeyValueRows(keys: keys, values: values), shape: shape, to: receiver)
        }
        output(mixed, addingTo: residual)
    }

    /// Rotates rows [B · T, heads · d], each sequence from position `context.start` on.
    private func rotate(_ x: MatrixView, heads: Int, _ context: LayerContext) {
        let rotation = rope.rotation(from: context.start, count: x.rows / context.sequences)
        for sequence in 0..<context.sequences {
            context.compute.rotate(
                x.rows(context.range(sequence, of: x.rows)), heads: heads, headSize: shape.headSize, by: rotation)
        }
    }
}

/// The gated MLP: down_proj(silu(gate_proj x) · up_proj x), no biases.
struct LlamaMLP {
    let gate: Linear  // gate_proj [I, H]
    let up: Linear  // up_proj [I, H]
    let down: Linear  // down_proj [H, I]

    init(_ weights: WeightReader, _ config: LanguageConfig) throws {
        gate = try Linear(weights.under("gate_proj."), config.hiddenSize, config.intermediateSize, bias: false)
        up = try Linear(weights.under("up_proj."), config.hiddenSize, config.intermediateSize, bias: false)
        down = try Linear(weights.under("down_proj."), config.intermediateSize, config.hiddenSize, bias: false)
    }

    /// Bytes of the weights.
    var weightBytes: Int { [gate, up, down].reduce(0) { $0 + $1.weight.byteCount } }

    /// residual += MLP(x): x [rows, H], residual [rows, H] f32.
    func callAsFunction(_ x: MatrixView, addingTo residual: MatrixView, _ context: LayerContext) {
        let gated = context.scratch.hidden.matrix(x.type, rows: x.rows, columns: gate.outputs)  // [rows, I]
        let upward = context.scratch.up.matrix(x.type, rows: x.rows, columns: up.outputs)  // [rows, I]
        context.compute.sharingInput(x) {
            gate(x, into: gated)
            up(x, into: upward)
        }
        context.compute.siluMultiply(gated, upward)
        down(gated, addingTo: residual)
    }
}

/// A Llama decoder layer: x += Attn(RMSNorm(x)); x += MLP(RMSNorm(x)).
///
/// It runs in three steps, because callers keep keys and values of rows whose outputs they do not need: `project` all
/// rows, take the `queries` of some, and compute those. Used by the language model and by pre-fusion. Source:
/// docs/model.md, section 7; tensors `layers.N.*`.
final class DecoderLayer {
    let attentionNorm: RMSNorm  // input_layernorm [H]
    let attention: LlamaAttention  // self_attn
    let mlpNorm: RMSNorm  // post_attention_layernorm [H]
    let mlp: LlamaMLP  // mlp

    init(_ weights: WeightReader, _ config: LanguageConfig, rope: RotaryEmbedding) throws {
        let (width, epsilon) = (config.hiddenSize, config.rmsNormEpsilon)
        attentionNorm = try RMSNorm(weights.under("input_layernorm."), width, epsilon: epsilon)
        attention = try LlamaAttention(weights.under("self_attn."), config, rope: rope)
        mlpNorm = try RMSNorm(weights.under("post_attention_layernorm."), width, epsilon: epsilon)
        mlp = try LlamaMLP(weights.under("mlp."), config)
    }

    /// Bytes of the weights, norms not counted.
    var weightBytes: Int { attention.weightBytes + mlp.weightBytes }

    /// Writes the keys and values of `x` [B · T, H] f32 into `keys` and `values` [B · T, h_kv · d].
    ///
    /// - Returns: the normalized rows [B · T, H], the input of `queries`; valid until the layer computes rows.
    func project(_ x: MatrixView, keys: MatrixView, values: MatrixView, _ context: LayerContext) -> MatrixView {
        // A single row stays f32.
        let type = x.rows == 1 ? DType.f32 : context.compute.precision
        let normed = context.scratch.normed.matrix(type, rows: x.rows, columns: x.columns)  // [B · T, H]
        context.compute.timed(context.sections.norms) { attentionNorm(x, into: normed) }
        context.compute.timed(context.sections.attention) {
            attention.project(normed, keys: keys, values: values, context)
        }
        return normed
    }

    /// The rotated queries [B · A, h · d] of normalized rows [B · A, H]; valid until the next call.
    func queries(_ normed: MatrixView, _ context: LayerContext) -> MatrixView {
        context.compute.timed(context.sections.attention) { attention.queries(normed, context) }
    }

    /// Runs attention and MLP on the rows `x` [B · A, H] f32 in place, given their queries and all keys and values
    /// [B · S, h_kv · d].
    func callAsFunction(
        _ x: MatrixView, queries: MatrixView, keys: MatrixView, values: MatrixView, _ context: LayerContext
    ) {
        let (compute, sections) = (context.compute, context.sections)
        compute.timed(sections.attention) {
            attention(queries, keys: keys, values: values, addingTo: x, context)
        }
        let normed = context.scratch.normed.matrix(queries.type, rows: x.rows, columns: x.columns)  // [B · A, H]
        compute.timed(sections.norms) { mlpNorm(x, into: normed) }
        compute.timed(sections.mlp) { mlp(normed, addingTo: x, context) }
    }
}
