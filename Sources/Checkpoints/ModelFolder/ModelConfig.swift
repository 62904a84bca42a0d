/// The shape of a Llama decoder, which is also the shape of each pre-fusion layer.
///
/// Source: `config.json` of a Llama or LLaVA-Mini checkpoint; each property's comment names its key.
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
    /// Added to the mean square in RMSNorm: `rms_norm_eps`; 1e-6 if absent.
    public var rmsNormEpsilon: Float
    /// Rotary position embedding: `rope_theta`, `rope_scaling`.
    public var rope: RopeConfig
    /// Context length in tokens: `max_position_embeddings`; 2048 if absent.
    public var maxPositions: Int
    /// True if the output layer shares the input embeddings: `tie_word_embeddings`; false if absent.
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
    /// θ in the wavelengths 2π · θ^(2i/d), in tokens: `rope_theta`; 10000 if absent.
    public var theta: Double
    /// `rope_scaling`; nil if absent or of type `default`.
    public var scaling: Llama3Scaling?

    /// Rotary embedding with the given θ.
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
/// Source: `config.json` of a `clip_vision_model`, or `vision_config` of a two-tower (image and text) model.
public struct VisionConfig: Sendable, Equatable {
    /// Width of a patch embedding, D: `hidden_size`.
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
    /// Width of the image embedding: `projection_dim`; nil for a vision tower alone.
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
    /// Maximum length of a text in tokens: `max_position_embeddings`.
    public var maxPositions: Int
    /// Added to the variance in LayerNorm: `layer_norm_eps`.
    public var layerNormEpsilon: Float
    /// The text embedding is taken at this token: `eos_token_id`. For 2 it is taken at the largest ID, as transformers
    /// does for configs written before its fix of that key.
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

/// The modules between the vision tower and the language model: LLaVA-Mini's, or LLaVA-v1.5's projector alone.
public struct FusionConfig: Sendable, Equatable {
    /// Side of the grid of a frame's vision tokens, C: `compressor_size`; without a compressor that of the patches. A
    /// frame becomes C·C vision tokens.
    public var compressorSize: Int
    /// False for LLaVA-v1.5: its vision tokens are the projected patches.
    public var hasCompressor: Bool
    /// Width of the compressor, E: `compressor_embed_dim`; 1024 if absent (hard-coded in the reference).
    public var compressorWidth: Int
    /// Attention heads of the compressor: `compressor_num_heads`; 8 if absent.
    public var compressorHeadCount: Int
    /// Linear layers of the projector: K of `mm_projector_type` `mlpKx_gelu`, 1 for `linear`.
    public var projectorDepth: Int
    /// Number of pre-fusion layers: `prefusion_layer_num`; 4 if absent; 0 for LLaVA-v1.5.
    public var prefusionLayerCount: Int
    /// Which hidden state of the vision tower is used, -1 for the last: `mm_vision_select_layer`; -2 if absent.
    public var visionSelectLayer: Int
    /// Crops per side, n: `resolution_ratio`; 1 if absent. If n > 1, a frame is encoded as n·n crops and the whole
    /// image.
    public var resolutionRatio: Int
    /// True if `mm_projector_type` is `linear` or absent: the tensors are `mm_projector.weight` and `.bias`, without an
    /// index.
    public var plainProjector: Bool

    /// Vision tokens per frame (C2 = C·C).
    public var tokensPerFrame: Int { compressorSize * compressorSize }
    /// True if the text is fused with frames before the language model reads it; else it stays as it is.
    public var fusesText: Bool { prefusionLayerCount > 0 }
    /// Images encoded per frame: 1, or n·n crops and the whole image.
    public var partCount: Int { resolutionRatio > 1 ? resolutionRatio * resolutionRatio + 1 : 1 }

    /// Modules of the given shape.
    public init(
        compressorSize: Int, compressorWidth: Int, compressorHeadCount: Int, projectorDepth: Int,
        prefusionLayerCount: Int, visionSelectLayer: Int, resolutionRatio: Int, plainProjector: Bool = false,
        hasCompressor: Bool = true
    ) {
        self.compressorSize = compressorSize
        self.hasCompressor = hasCompressor
        self.compressorWidth = compressorWidth
        self.compressorHeadCount = compressorHeadCount
        self.projectorDepth = projectorDepth
        self.prefusionLayerCount = prefusionLayerCount
        self.visionSelectLayer = visionSelectLayer
        self.resolutionRatio = resolutionRatio
        self.plainProjector = plainProjector
    }
}

/// The heads whose attention locates an answer's evidence, in a model trained for it.
///
/// Source: `longtake_evidence` in `config.json`; `docs/evidence.md`.
public struct EvidenceConfig: Sendable, Equatable {
    /// 1 to 16 heads: the last determines the evidence and whether it was found, the others only help to refine a
    /// question.
    public var heads: [AttentionHead]
    /// An answer's evidence counts as found if the last head's share of attention on frames is at least this, 0 to 1;
    /// 0.3 if absent.
    public var found: Double
}
