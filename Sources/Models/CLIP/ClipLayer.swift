internal import Tensors

/// One pre-norm layer of a CLIP tower: x += Attn(LN1(x)); x += MLP(LN2(x)), quick GELU, biases everywhere.
///
/// Source: docs/model.md, section 2; tensors `encoder.layers.N.*`.
final class ClipLayer {
    private let norm1: LayerNorm
    private let norm2: LayerNorm
    private let query: Linear
    private let key: Linear
    private let value: Linear
    private let output: Linear
    private let up: Linear
    private let down: Linear
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

    /// Runs on `residual` [sequences · T, D] in place; the sequences do not see each other.
    func forward(_ residual: MatrixView, sequences: Int, compute: Compute, scratch: ClipScratch) {
        let (rows, width, type) = (residual.rows, residual.columns, compute.precision)
        let normed = scratch.normed.block(type, rows: rows, columns: width)
        let q = scratch.query.block(type, rows: rows, columns: width)
        let k = scratch.key.block(type, rows: rows, columns: width)
        let v = scratch.value.block(type, rows: rows, columns: width)
        norm1.apply(residual, into: normed, compute)
        query.apply(normed, into: q, compute)
        key.apply(normed, into: k, compute)
        value.apply(normed, into: v, compute)
        let length = rows / sequences
        for sequence in 0..<sequences {
            let range = sequence * length..<(sequence + 1) * length
            // The attended rows replace the normed ones, which are no longer needed.
            compute.attention(
                query: q.rows(range), keys: k.rows(range), values: v.rows(range), shape: shape,
                firstVisible: causal ? 1 : nil, into: normed.rows(range))
        }
        output.apply(normed, accumulateInto: residual, compute)
        norm2.apply(residual, into: normed, compute)
        let hidden = scratch.hidden.block(type, rows: rows, columns: up.outputs)
        up.apply(normed, activation: .quickGELU, into: hidden, compute)
        down.apply(hidden, accumulateInto: residual, compute)
    }

    /// The first row of each sequence behind this layer, to `out` [sequences, D] f32; `residual` stays as it is.
    ///
    /// The other rows are needed as keys and values only: a sixth of the layer's work at CLIP's shapes.
    func firstRows(
        of residual: MatrixView, sequences: Int, into out: MatrixView, compute: Compute, scratch: ClipScratch
    ) {
        let (rows, width, type) = (residual.rows, residual.columns, compute.precision)
        let length = rows / sequences
        let normed = scratch.normed.block(type, rows: rows, columns: width)
        let k = scratch.key.block(type, rows: rows, columns: width)
        let v = scratch.value.block(type, rows: rows, columns: width)
        norm1.apply(residual, into: normed, compute)
        key.apply(normed, into: k, compute)
        value.apply(normed, into: v, compute)
        // A row by itself is multiplied in f32.
        let narrow: DType = sequences == 1 ? .f32 : type
        let first = scratch.first.block(narrow, rows: sequences, columns: width)
        let q = scratch.query.block(narrow, rows: sequences, columns: width)
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
        let hidden = scratch.hidden.block(narrow, rows: sequences, columns: up.outputs)
        up.apply(first, activation: .quickGELU, into: hidden, compute)
        down.apply(hidden, accumulateInto: out, compute)
    }
}

/// The working memory of a tower's layers, reused by every layer and every frame.
final class ClipScratch {
    let normed = Scratch()
    let query = Scratch()
    let key = Scratch()
    let value = Scratch()
    let hidden = Scratch()
    let first = Scratch()
}
