/// The Hugging Face names of a model's parts, as prefixes with their dot, and of its single tensors.
///
/// `TensorCatalog` completes them to the names of all tensors; readers of weights begin with them.
public enum TensorName {
    /// The language model's input embeddings, [V, H].
    public static let tokenEmbeddings = "model.embed_tokens.weight"
    /// The norm after the language model's last layer, [H].
    public static let finalNorm = "model.norm.weight"
    /// The language model's output embeddings, [V, H]; absent if they are tied to the input embeddings.
    public static let outputEmbeddings = "lm_head.weight"
    /// The compressor.
    public static let compressor = "model.compressor."
    /// The projector from vision width to language width.
    public static let projector = "model.mm_projector."
    /// Precedes the names of a vision tower that the checkpoint itself holds.
    public static let insideTower = "model.vision_tower.vision_tower."
    /// CLIP's vision tower.
    public static let visionTower = "vision_model."
    /// The projection of CLIP's image embedding.
    public static let visualProjection = "visual_projection."
    /// CLIP's text tower.
    public static let textTower = "text_model."
    /// The projection of CLIP's text embedding.
    public static let textProjection = "text_projection."

    /// A decoder layer of the language model, counted from 0.
    public static func languageLayer(_ index: Int) -> String { "model.layers.\(index)." }
    /// A pre-fusion layer, counted from 0.
    public static func prefusionLayer(_ index: Int) -> String { "model.prefusion_layers.\(index)." }
    /// An encoder layer of either CLIP tower, counted from 0, below the tower's name.
    public static func encoderLayer(_ index: Int) -> String { "encoder.layers.\(index)." }
}
