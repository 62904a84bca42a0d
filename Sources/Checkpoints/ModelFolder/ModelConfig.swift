/// The shape of a Llama decoder, which is also the shape of each pre-fusion layer.
///
/// Source: `config.json` of a Llama or LLaVA-Mini checkpoint; trailing comments name the keys.
public struct LanguageConfig: Sendable, Equatable {
    public var hiddenSize: Int  // hidden_size, H
    public var intermediateSize: Int  // intermediate_size
    public var layerCount: Int  // num_hidden_layers
    public var headCount: Int  // num_attention_heads
    public var keyValueHeadCount: Int  // num_key_value_heads; headCount if absent
    public var headSize: Int  // head_dim; hidden_size / num_attention_heads if absent
    public var vocabularySize: Int  // vocab_size, V
    public var rmsNormEpsilon: Float  // rms_norm_eps
    public var rope: RopeConfig  // rope_theta, rope_scaling
    public var maxPositions: Int  // max_position_embeddings
    public var tiedEmbeddings: Bool  // tie_word_embeddings

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
    public var theta: Double  // rope_theta
    public var scaling: Llama3Scaling?  // rope_scaling; nil for the type "default"

    public init(theta: Double, scaling: Llama3Scaling? = nil) {
        self.theta = theta
        self.scaling = scaling
    }
}

/// The parameters of `rope_scaling` with `rope_type` (or the older key `type`) `llama3`.
public struct Llama3Scaling: Sendable, Equatable {
    public var factor: Double  // factor; divides the frequencies of long wavelengths
    public var lowFrequencyFactor: Double  // low_freq_factor
    public var highFrequencyFactor: Double  // high_freq_factor
    public var originalMaxPositions: Double  // original_max_position_embeddings, in tokens

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
    public var hiddenSize: Int  // hidden_size, D
    public var intermediateSize: Int  // intermediate_size
    public var layerCount: Int  // num_hidden_layers
    public var headCount: Int  // num_attention_heads
    public var imageSize: Int  // image_size, in pixels per side
    public var patchSize: Int  // patch_size, in pixels per side
    public var layerNormEpsilon: Float  // layer_norm_eps
    public var projectionSize: Int?  // projection_dim of a two-tower checkpoint

    /// Patches per image side (g).
    public var gridSize: Int { imageSize / patchSize }
    /// Patches per image (P = g·g).
    public var patchCount: Int { gridSize * gridSize }

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
    public var hiddenSize: Int  // hidden_size
    public var intermediateSize: Int  // intermediate_size
    public var layerCount: Int  // num_hidden_layers
    public var headCount: Int  // num_attention_heads
    public var vocabularySize: Int  // vocab_size
    public var maxPositions: Int  // max_position_embeddings
    public var layerNormEpsilon: Float  // layer_norm_eps
    public var endTokenID: Int  // eos_token_id; 2 selects the legacy pooling at the largest ID
    public var projectionSize: Int  // projection_dim

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
    public var compressorSize: Int  // compressor_size, C: a frame becomes C·C vision tokens
    public var compressorWidth: Int  // compressor_embed_dim; 1024 if absent (hard-coded in the reference)
    public var compressorHeadCount: Int  // compressor_num_heads; 8 if absent
    public var projectorDepth: Int  // K of mlpKx_gelu; 1 for "linear"
    public var prefusionLayerCount: Int  // prefusion_layer_num; 4 if absent
    public var visionSelectLayer: Int  // mm_vision_select_layer; -2 if absent
    public var resolutionRatio: Int  // resolution_ratio, n: n·n crops besides the whole image if n > 1
    public var plainProjector: Bool  // "linear": the tensors are mm_projector.weight and .bias, without an index

    /// Vision tokens per frame (C2 = C·C).
    public var tokensPerFrame: Int { compressorSize * compressorSize }
    /// Images per frame: 1, or n·n crops and the whole image.
    public var partCount: Int { resolutionRatio > 1 ? resolutionRatio * resolutionRatio + 1 : 1 }

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
