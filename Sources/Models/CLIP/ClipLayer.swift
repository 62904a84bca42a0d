internal import Tensors

// Letters: B sequences, T rows of each, D width, I inner width.

/// Multi-head self-attention of a CLIP tower: out_proj(softmax(q kᵀ / √d) v), with biases.
struct ClipAttention {
    private let query: Linear  // q_proj [D, D]
    private let key: Linear  // k_proj [D, D]
    private let value: Linear  // v_proj [D, D]
    private let output: Linear  // out_proj [D, D]
    private let shape: AttentionShape

    init(_ weights: WeightReader, width: Int, heads: Int) throws {
        query = try Linear(weights.under("q_proj."), width, width)
        key = try Linear(weights.under("k_proj."), width, width)
        value = try Linear(weights.under("v_proj."), width, width)
        output = try Linear(weights.under("out_proj."), width, width)
        shape = AttentionShape(heads: heads, keyValueHeads: heads, headSize: width / heads)
    }

    /// residual += Attn(rows over sources): `rows` and `residual` [B · A, D], `sources` [B · T, D], which may be `rows`.
    ///
    /// Overwrites `rows`.
    func callAsFunction(
        _ rows: MatrixView, over sources: MatrixView, addingTo residual: MatrixView, _ context: LayerContext
    ) {
        let (scratch, width) = (context.scratch, sources.columns)
        let q = scratch.query.matrix(rows.type, rows: rows.rows, columns: width)  // [B · A, D]
        let k = scratch.key.matrix(sources.type, rows: sources.rows, columns: width)  // [B · T, D]
        let v = scratch.value.matrix(sources.type, rows: sources.rows, columns: width)  // [B · T, D]
        context.compute.sharingInput(sources) {
            query(rows, into: q)
            key(sources, into: k)
            value(sources, into: v)
        }
        for sequence in 0..<context.sequences {
            let (own, keys) = (context.range(sequence, of: rows.rows), context.range(sequence, of: sources.rows))
            // The attention output replaces the normalized rows, which are no longer needed.
            context.compute.attention(
                query: q.rows(own), keys: k.rows(keys), values: v.rows(keys), shape: shape, mask: context.mask,
                into: rows.rows(own))
        }
        output(rows, addingTo: residual)
    }
}

/// The MLP of a CLIP tower: fc2(quick_gelu(fc1(x))).
struct ClipMLP {
    private let up: Linear  // fc1 [I, D]
    private let down: Linear  // fc2 [D, I]

    init(_ weights: WeightReader, width: Int, inner: Int) throws {
        up = try Linear(weights.under("fc1."), width, inner)
        down = try Linear(weights.under("fc2."), inner, width)
    }

    /// residual += MLP(x): x [rows, D], residual [rows, D] f32.
    func callAsFunction(_ x: MatrixView, addingTo residual: MatrixView, _ context: LayerContext) {
        let hidden = context.scratch.hidden.matrix(x.type, rows: x.rows, columns: up.outputs)  // [rows, I]
        up(x, activation: .quickGELU, into: hidden)
        down(hidden, addingTo: residual)
    }
}

/// A pre-norm layer of a CLIP tower: x += Attn(LN1(x)); x += MLP(LN2(x)).
///
/// Source: docs/model.md, section 2; tensors `encoder.layers.N.*`.
final class ClipLayer {
    private let norm1: LayerNorm  // layer_norm1 [D]
    private let attention: ClipAttention  // self_attn
    private let norm2: LayerNorm  // layer_norm2 [D]
    private let mlp: ClipMLP  // mlp

    init(_ weights: WeightReader, width: Int, inner: Int, heads: Int, epsilon: Float) throws {
        norm1 = try LayerNorm(weights.under("layer_norm1."), width, epsilon: epsilon)
        norm2 = try LayerNorm(weights.under("layer_norm2."), width, epsilon: epsilon)
        attention = try ClipAttention(weights.under("self_attn."), width: width, heads: heads)
        mlp = try ClipMLP(weights.under("mlp."), width: width, inner: inner)
    }

    /// Runs the layer on `x` [B · T, D] f32 in place.
    func callAsFunction(_ x: MatrixView, _ context: LayerContext) {
        let normed = context.scratch.normed.matrix(context.compute.precision, rows: x.rows, columns: x.columns)
        let (compute, sections) = (context.compute, context.sections)
        compute.timed(sections.norms) { norm1(x, into: normed) }
        compute.timed(sections.attention) { attention(normed, over: normed, addingTo: x, context) }
        compute.timed(sections.norms) { norm2(x, into: normed) }
        compute.timed(sections.mlp) { mlp(normed, addingTo: x, context) }
    }

    /// Computes only the first row of each sequence into `out` [B, D] f32; `x` [B · T, D] is unchanged.
    ///
    /// The other rows contribute only keys and values, which is a sixth of the layer's work at CLIP's shapes.
    func firstRows(of x: MatrixView, into out: MatrixView, _ context: LayerContext) {
        let (scratch, precision) = (context.scratch, context.compute.precision)
        let normed = scratch.normed.matrix(precision, rows: x.rows, columns: x.columns)  // [B · T, D]
        // A single row is multiplied in f32.
        let first = scratch.firstNormed.matrix(out.rows == 1 ? .f32 : precision, rows: out.rows, columns: x.columns)
        for row in 0..<context.sequences {
            let start = context.range(row, of: x.rows).lowerBound
            let source = x.rows(start..<start + 1)
            out.rows(row..<row + 1).floats.update(from: source.floats, count: x.columns)
        }
        norm1(x, into: normed)
        norm1(out, into: first)
        attention(first, over: normed, addingTo: out, context)
        norm2(out, into: first)
        mlp(first, addingTo: out, context)
    }
}
