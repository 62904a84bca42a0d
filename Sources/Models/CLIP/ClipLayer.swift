internal import Tensors

// Letters: B sequences, T rows of each, D width, I inner width.

/// A pre-norm layer of a CLIP tower: x += Attn(LN1(x)); x += MLP(LN2(x)), quick GELU, biases everywhere.
///
/// Source: docs/model.md, section 2; tensors `encoder.layers.N.*`.
final class ClipLayer {
    private let norm1: LayerNorm  // [D]
    private let norm2: LayerNorm  // [D]
    private let query: Linear  // [D, D]
    private let key: Linear  // [D, D]
    private let value: Linear  // [D, D]
    private let output: Linear  // [D, D]
    private let up: Linear  // [I, D]
    private let down: Linear  // [D, I]
    private let shape: AttentionShape
    private let causal: Bool

    init(_ weights: WeightReader, width: Int, inner: Int, heads: Int, epsilon: Float, causal: Bool) throws {
        norm1 = try LayerNorm(weights.under("layer_norm1."), width, epsilon)
        norm2 = try LayerNorm(weights.under("layer_norm2."), width, epsilon)
        query = try Linear(weights.under("self_attn.q_proj."), width, width)
        key = try Linear(weights.under("self_attn.k_proj."), width, width)
        value = try Linear(weights.under("self_attn.v_proj."), width, width)
        output = try Linear(weights.under("self_attn.out_proj."), width, width)
        up = try Linear(weights.under("mlp.fc1."), width, inner)
        down = try Linear(weights.under("mlp.fc2."), inner, width)
        shape = AttentionShape(heads: heads, keyValueHeads: heads, headSize: width / heads)
        self.causal = causal
    }

    /// Runs the layer on `residual` [B · T, D] f32 in place; sequences do not attend to each other.
    func forward(_ residual: MatrixView, sequences: Int, compute: Compute, scratch: ClipScratch) {
        let (rows, width, type) = (residual.rows, residual.columns, compute.precision)
        let normed = scratch.normed.block(type, rows: rows, columns: width)  // [B · T, D]
        let q = scratch.query.block(type, rows: rows, columns: width)  // [B · T, D]
        let k = scratch.key.block(type, rows: rows, columns: width)  // [B · T, D]
        let v = scratch.value.block(type, rows: rows, columns: width)  // [B · T, D]
        norm1.apply(residual, into: normed, compute)
        query.apply(normed, into: q, compute)
        key.apply(normed, into: k, compute)
        value.apply(normed, into: v, compute)
        let length = rows / sequences
        for sequence in 0..<sequences {
            let range = sequence * length..<(sequence + 1) * length
            // The attention output replaces the normalized rows, which are no longer needed.
            compute.attention(
                query: q.rows(range), keys: k.rows(range), values: v.rows(range), shape: shape,
                firstVisible: causal ? 1 : nil, into: normed.rows(range))
        }
        output.apply(normed, accumulateInto: residual, compute)
        norm2.apply(residual, into: normed, compute)
        let hidden = scratch.hidden.block(type, rows: rows, columns: up.outputs)  // [B · T, I]
        up.apply(normed, activation: .quickGELU, into: hidden, compute)
        down.apply(hidden, accumulateInto: residual, compute)
    }

    /// Computes only the first row of each sequence into `out` [B, D] f32; `residual` [B · T, D] is unchanged.
    ///
    /// The other rows contribute only keys and values, which is a sixth of the layer's work at CLIP's shapes.
    func firstRows(
        of residual: MatrixView, sequences: Int, into out: MatrixView, compute: Compute, scratch: ClipScratch
    ) {
        let (rows, width, type) = (residual.rows, residual.columns, compute.precision)
        let length = rows / sequences
        let normed = scratch.normed.block(type, rows: rows, columns: width)  // [B · T, D]
        let k = scratch.key.block(type, rows: rows, columns: width)  // [B · T, D]
        let v = scratch.value.block(type, rows: rows, columns: width)  // [B · T, D]
        norm1.apply(residual, into: normed, compute)
        key.apply(normed, into: k, compute)
        value.apply(normed, into: v, compute)
        // A single row is multiplied in f32.
        let narrow: DType = sequences == 1 ? .f32 : type
        let first = scratch.first.block(narrow, rows: sequences, columns: width)  // [B, D]
        let q = scratch.query.block(narrow, rows: sequences, columns: width)  // [B, D]
        for sequence in 0..<sequences {
            out.rows(sequence..<sequence + 1).floats.update(
                from: residual.rows(sequence * length..<sequence * length + 1).floats, count: width)
        }
        norm1.apply(out, into: first, compute)
        query.apply(first, into: q, compute)
        for sequence in 0..<sequences {
            let range = sequence * length..<(sequence + 1) * length
            compute.attention(
                query: q.rows(sequence..<sequence + 1), keys: k.rows(range), values: v.rows(range), shape: shape,
                into: first.rows(sequence..<sequence + 1))
        }
        output.apply(first, accumulateInto: out, compute)
        norm2.apply(out, into: first, compute)
        let hidden = scratch.hidden.block(narrow, rows: sequences, columns: up.outputs)  // [B, I]
        up.apply(first, activation: .quickGELU, into: hidden, compute)
        down.apply(hidden, accumulateInto: out, compute)
    }
}

/// Scratch memory of a tower's layers, reused by every layer and every frame.
final class ClipScratch {
    let normed = Scratch()  // [B · T, D]
    let query = Scratch()  // [B · T, D], or [B, D] for first rows
    let key = Scratch()  // [B · T, D]
    let value = Scratch()  // [B · T, D]
    let hidden = Scratch()  // [B · T, I], or [B, I] for first rows
    let first = Scratch()  // [B, D]
}
