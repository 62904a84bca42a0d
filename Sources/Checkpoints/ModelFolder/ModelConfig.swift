/// The shape of a Llama decoder, which is also the shape of each pre-fusion layer.
///
/// Source: `config.json` of a Llama or LLaVA-Mini checkpoint; each property names its key.
public struct LanguageConfig: Sendable, Equatable {
    /// Width of a token, H: `hidden_size`.
    public var hiddenSize: Int
    /// Inner width of the MLP, I: `intermediate_size`.
    public var intermediateSize: Int
    /// Number of layers: `num_hidden_layers`.
    public var layerCount: Int
    /// Number of query heads, h: `num_attention_heads`.
    public var headCount: Int
    /// Number of key and value heads: `num_key_value_heads`; `headCount` if absent.
    public var keyValueHeadCount: Int
    /// Width of a head, d: `head_dim`; `hidden_size / num_attention_heads` if absent.
    public var headSize: Int
    /// Number of token IDs, V: `vocab_size`.
    public var vocabularySize: Int
    /// Added to the mean square in RMSNorm: `rms_norm_eps`.
    public var rmsNormEpsilon: Float
    /// Rotary position embedding: `rope_theta`, `rope_scaling`.
    public var rope: RopeConfig
    /// Context length in tokens: `max_position_embeddings`.
    public var maxPositions: Int
    /// True if the output embeddings are the input embeddings: `tie_word_embeddings`.
    public var tiedEmbeddings: Bool

    /// A decoder of the given shape.
    public init(
        hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int, keyValueHeadCount: Int,
        headSize: Int, vocabularySize: Int, rmsNormEpsilon: Float, rope: RopeConfig, maxPositions: Int,
        tiedEmbeddings: Bool
    ) {
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.headSize = headSize
        self.vocabularySize = vocabularySize
        self.rmsNormEpsilon = rmsNormEpsilon
        self.rope = rope
        self.maxPositions = maxPositions
        self.tiedEmbeddings = tiedEmbeddings
    }
}

/// Rotary position embedding: `rope_theta` and, for Llama 3.1, `rope_scaling` of type `llama3`.
public struct RopeConfig: Sendable, Equatable {
    /// Base of the wavelengths: `rope_theta`.
    public var theta: Double
    /// `rope_scaling`; nil for the type `default`.
    public var scaling: Llama3Scaling?

    /// Rotary embedding with the given base.
    public init(theta: Double, scaling: Llama3Scaling? = nil) {
        self.theta = theta
        self.scaling = scaling
    }
}

/// The parameters of `rope_scaling` with `rope_type` (or the older key `type`) `llama3`.
public struct Llama3Scaling: Sendable, Equatable {
    /// Divides the frequencies of long wavelengths: `factor`.
    public var factor: Double
    /// Wavelengths above the original context divided by this are scaled fully: `low_freq_factor`.
    public var lowFrequencyFactor: Double
    /// Wavelengths below the original context divided by this are not scaled: `high_freq_factor`.
    public var highFrequencyFactor: Double
    /// Context length before scaling, in tokens: `original_max_position_embeddings`.
    public var originalMaxPositions: Double

    /// Scaling with the given factors.
    public init(
        factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalMaxPositions: Double
    ) {
        self.factor = factor
        self.lowFrequencyFactor = lowFrequencyFactor
        self.highFrequencyFactor = highFrequencyFactor
        self.originalMaxPositions = originalMaxPositions
    }
}

/// The shape of a CLIP vision tower.
///
/// Source: `config.json` of a `clip_vision_model`, or `vision_config` of a two-tower model.
public struct VisionConfig: Sendable, Equatable {
    /// Width of a patch, D: `hidden_size`.
    public var hiddenSize: Int
    /// Inner width of the MLP: `intermediate_size`.
    public var intermediateSize: Int
    /// Number of layers: `num_hidden_layers`.
    public var layerCount: Int
    /// Number of attention heads: `num_attention_heads`.
    public var headCount: Int
    /// Pixels per side of the image: `image_size`.
    public var imageSize: Int
    /// Pixels per side of a patch: `patch_size`.
    public var patchSize: Int
    /// Added to the variance in LayerNorm: `layer_norm_eps`.
    public var layerNormEpsilon: Float
    /// Width of the image embedding: `projection_dim`; nil unless a two-tower checkpoint.
    public var projectionSize: Int?

    /// Patches per image side (g).
    public var gridSize: Int { imageSize / patchSize }
    /// Patches per image (P = g·g).
    public var patchCount: Int { gridSize * gridSize }

    /// A vision tower of the given shape.
    public init(
        hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int, imageSize: Int, patchSize: Int,
        layerNormEpsilon: Float, projectionSize: Int? = nil
    ) {
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.imageSize = imageSize
        self.patchSize = patchSize
        self.layerNormEpsilon = layerNormEpsilon
        self.projectionSize = projectionSize
    }
}

/// The shape of a CLIP text tower (`text_config` of a two-tower checkpoint).
public struct TextTowerConfig: Sendable, Equatable {
    /// Width of a token: `hidden_size`.
    public var hiddenSize: Int
    /// Inner width of the MLP: `intermediate_size`.
    public var intermediateSize: Int
    /// Number of layers: `num_hidden_layers`.
    public var layerCount: Int
    /// Number of attention heads: `num_attention_heads`.
    public var headCount: Int
    /// Number of token IDs: `vocab_size`.
    public var vocabularySize: Int
    /// Most tokens of a text: `max_position_embeddings`.
    public var maxPositions: Int
    /// Added to the variance in LayerNorm: `layer_norm_eps`.
    public var layerNormEpsilon: Float
    /// ID at whose position the text is pooled: `eos_token_id`; 2 selects the legacy pooling at the largest ID.
    public var endTokenID: Int
    /// Width of the text embedding: `projection_dim`.
    public var projectionSize: Int

    /// A text tower of the given shape.
    public init(
        hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int, vocabularySize: Int,
        maxPositions: Int, layerNormEpsilon: Float, endTokenID: Int, projectionSize: Int
    ) {
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.vocabularySize = vocabularySize
        self.maxPositions = maxPositions
        self.layerNormEpsilon = layerNormEpsilon
        self.endTokenID = endTokenID
        self.projectionSize = projectionSize
    }
}

/// The modules that LLaVA-Mini adds between the vision tower and the language model.
public struct FusionConfig: Sendable, Equatable {
    /// C: a frame becomes C·C vision tokens: `compressor_size`.
    public var compressorSize: Int
    /// Width of the compressor, E: `compressor_embed_dim`; 1024 if absent (hard-coded in the reference).
    public var compressorWidth: Int
    /// Attention heads of the compressor: `compressor_num_heads`; 8 if absent.
    public var compressorHeadCount: Int
    /// K of `mm_projector_type` `mlpKx_gelu`; 1 for `linear`.
    public var projectorDepth: Int
    /// Number of pre-fusion layers: `prefusion_layer_num`; 4 if absent.
    public var prefusionLayerCount: Int
    /// The hidden state taken from the vision tower, from its end: `mm_vision_select_layer`; -2 if absent.
    public var visionSelectLayer: Int
    /// n: a frame becomes n·n crops and the whole image if n > 1: `resolution_ratio`; 1 if absent.
    public var resolutionRatio: Int
    /// True for `mm_projector_type` `linear`: the tensors are `mm_projector.weight` and `.bias`, without an index.
    public var plainProjector: Bool

    /// Vision tokens per frame (C2 = C·C).
    public var tokensPerFrame: Int { compressorSize * compressorSize }
    /// Images per frame: 1, or n·n crops and the whole image.
    public var partCount: Int { resolutionRatio > 1 ? resolutionRatio * resolutionRatio + 1 : 1 }

    /// Modules of the given shape.
    public init(
        compressorSize: Int, compressorWidth: Int, compressorHeadCount: Int, projectorDepth: Int,
        prefusionLayerCount: Int, visionSelectLayer: Int, resolutionRatio: Int, plainProjector: Bool = false
    ) {
        self.compressorSize = compressorSize
        self.compressorWidth = compressorWidth
        self.compressorHeadCount = compressorHeadCount
        self.projectorDepth = projectorDepth
        self.prefusionLayerCount = prefusionLayerCount
        self.visionSelectLayer = visionSelectLayer
        self.resolutionRatio = resolutionRatio
        self.plainProjector = plainProjector
    }
}

/// The heads whose attention locates an answer's evidence (`longtake_evidence`), in a model trained for it.
public struct EvidenceConfig: Sendable, Equatable {
    /// The last head attends to the frames that show what the answer names; the others are used when a question is
    /// refined.
    public var heads: [AttentionHead]
    /// The smallest share of attention on all frames that counts as evidence found.
    public var found: Double
}
