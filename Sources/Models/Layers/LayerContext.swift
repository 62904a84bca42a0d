internal import Tensors

// Letters: B sequences, T rows of each, A rows of them that are computed, D width, I inner width, h query heads, h_kv KV
// heads, d head size.

/// What a layer computes with besides its weights: the memory that all layers share, and where the rows are.
struct LayerContext {
    let compute: Compute
    let scratch: LayerScratch
    /// The sections that the layer's time counts for.
    let sections: LayerSections
    /// Sequences in the rows, one after the other and of equal length, B; they do not attend to each other.
    var sequences = 1
    /// The position of each sequence's first row, for the rotary embedding.
    var start = 0
    /// The keys of its sequence that each row attends to.
    var mask = AttentionMask.none
    /// Receives the attention weights of the last row; only for one sequence.
    var weightsReceiver: Compute.WeightsReceiver?

    /// This context for sequences whose rows begin at position `start` and attend to the positions up to their own.
    func causal(sequences: Int = 1, from start: Int) -> LayerContext {
        var context = self
        (context.sequences, context.start, context.mask) = (sequences, start, .causal(offset: start))
        return context
    }

    /// The rows of sequence `index` among `rows` rows.
    func range(_ index: Int, of rows: Int) -> Range<Int> {
        let length = rows / sequences
        return index * length..<(index + 1) * length
    }
}

/// The sections that the time of a layer's steps counts for.
struct LayerSections {
    let norms: WorkSection
    let attention: WorkSection
    let mlp: WorkSection

    static let vision = LayerSections(norms: .visionNorms, attention: .visionAttention, mlp: .visionMLP)
    static let frameEmbedding = LayerSections(norms: .frameEmbedding, attention: .frameEmbedding, mlp: .frameEmbedding)
    static let preFusion = LayerSections(norms: .preFusionNorms, attention: .preFusionAttention, mlp: .preFusionMLP)
    static let language = LayerSections(norms: .languageNorms, attention: .languageAttention, mlp: .languageMLP)
}

/// Activations of a layer, reused by every layer and every call.
final class LayerScratch {
    let normed = Scratch()  // [B · T, D]
    let firstNormed = Scratch()  // [B, D], CLIP's first rows
    let query = Scratch()  // [B · A, h · d]
    let key = Scratch()  // [B · T, h_kv · d]; in Llama of rows to be rounded, or a normalized row [1, D]
    let value = Scratch()  // [B · T, h_kv · d]; in Llama of rows to be rounded
    let mixed = Scratch()  // [B · A, h · d]
    let hidden = Scratch()  // [B · A, I]: fc1 of CLIP, gate of Llama
    let up = Scratch()  // [B · A, I]
}
