internal import Tensors

// Letters: B sequences, S keys of one of them, H width, I inner width, h query heads, h_kv KV heads, d head size.

/// One row of each of several sequences, in f32 regardless of the precision, as a single row is.
struct SequenceRows {
    let caches: [SequenceCache]  // [B]
    /// The angles of each row's position.
    let rotation: Rotation
    /// [B]: receives the attention weights of its row.
    let recorders: [AttentionRecorder?]
}

extension LlamaAttention {
    /// residual += o_proj(Attn(x)): x and residual [B, H] f32; adds a position to the layer of every cache.
    func callAsFunction(
        _ x: MatrixView, _ sequences: SequenceRows, layer: Int, addingTo residual: MatrixView, _ context: LayerContext
    ) {
        let (compute, scratch) = (context.compute, context.scratch)
        let q = scratch.query.matrix(.f32, rows: x.rows, columns: query.outputs)  // [B, h·d]
        let k = scratch.key.matrix(.f32, rows: x.rows, columns: key.outputs)  // [B, h_kv·d]
        let v = scratch.value.matrix(.f32, rows: x.rows, columns: value.outputs)  // [B, h_kv·d]
        query.rows(x, into: q)
        key.rows(x, into: k)
        value.rows(x, into: v)
        compute.rotate(q, heads: shape.heads, headSize: shape.headSize, by: sequences.rotation)
        compute.rotate(k, heads: shape.keyValueHeads, headSize: shape.headSize, by: sequences.rotation)
        for (row, cache) in sequences.caches.enumerated() {
            let next = cache.next(layer: layer)
            compute.store(k.rows(row..<row + 1), into: next.key, shape: shape)
            compute.store(v.rows(row..<row + 1), into: next.value, shape: shape)
        }
        let keysAndValues = sequences.caches.map { $0.rows(layer: layer) }
        let mixed = scratch.mixed.matrix(.f32, rows: x.rows, columns: query.outputs)  // [B, h·d]
        compute.attention(
            query: q, sequences: keysAndValues, shape: shape,
            receivers: sequences.recorders.map { $0?.receiver(layer: layer) }, into: mixed)
        output.rows(mixed, addingTo: residual)
    }
}

extension LlamaMLP {
    /// residual += MLP(x), each row as if it were alone: x and residual [B, H] f32.
    func rows(_ x: MatrixView, addingTo residual: MatrixView, _ context: LayerContext) {
        let gated = context.scratch.hidden.matrix(.f32, rows: x.rows, columns: gate.outputs)  // [B, I]
        let upward = context.scratch.up.matrix(.f32, rows: x.rows, columns: up.outputs)  // [B, I]
        gate.rows(x, into: gated)
        up.rows(x, into: upward)
        context.compute.siluMultiply(gated, upward)
        down.rows(gated, addingTo: residual)
    }
}

extension DecoderLayer {
    /// Runs the layer on one row of each of several sequences, x [B, H] f32 in place, each as if it were alone.
    ///
    /// - Parameter layer: the index of this layer in the caches.
    func callAsFunction(_ x: MatrixView, _ sequences: SequenceRows, layer: Int, _ context: LayerContext) {
        let (compute, sections) = (context.compute, context.sections)
        let normed = context.scratch.normed.matrix(.f32, rows: x.rows, columns: x.columns)  // [B, H]
        compute.timed(sections.norms) { attentionNorm(x, into: normed) }
        compute.timed(sections.attention) { attention(normed, sequences, layer: layer, addingTo: x, context) }
        compute.timed(sections.norms) { mlpNorm(x, into: normed) }
        compute.timed(sections.mlp) { mlp.rows(normed, addingTo: x, context) }
    }
}
