package import Checkpoints
import Tensors

extension RandomCheckpoint.Shape {
    /// The configuration of the parts, used for both configuration files and tensors.
    package var parts: (language: LanguageConfig, fusion: FusionConfig, vision: VisionConfig) {
        switch self {
        case .llavaMini8B:
            (llama(hidden: 4096, inner: 14_336, layers: 32, heads: 32, keyHeads: 8, head: 128), mini, clip)
        case .llavaMini7B: (vicuna7B, mini, clip)
        case .llava7B: (vicuna7B, uncompressed(clip), clip)
        case .nano: (nanoLlama, nanoMini, nanoClip)
        case .llavaNano:
            (vicuna(hidden: 192, inner: 512, layers: 4, heads: 6, head: 32), uncompressed(nanoClip), nanoClip)
        }
    }

    /// True for LLaVA-v1.5.
    var isUncompressed: Bool { self == .llava7B || self == .llavaNano }
    /// True if the language model is a Vicuna, which has its own template and end token.
    var isVicuna: Bool { isUncompressed || self == .llavaMini7B }

    private func llama(
        hidden: Int, inner: Int, layers: Int, heads: Int, keyHeads: Int, head: Int
    ) -> LanguageConfig {
        let rope = RopeConfig(
            theta: 500_000,
            scaling: Llama3Scaling(
                factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192))
        return LanguageConfig(
            hiddenSize: hidden, intermediateSize: inner, layerCount: layers, headCount: heads,
            keyValueHeadCount: keyHeads, headSize: head,
            vocabularySize: regularTokens + RandomVocabulary.specialCount, rmsNormEpsilon: 1e-5, rope: rope,
            maxPositions: 131_072, tiedEmbeddings: false)
    }

    private func vicuna(hidden: Int, inner: Int, layers: Int, heads: Int, head: Int) -> LanguageConfig {
        var config = llama(hidden: hidden, inner: inner, layers: layers, heads: heads, keyHeads: heads, head: head)
        (config.rope, config.maxPositions) = (RopeConfig(theta: 10_000), 4096)
        return config
    }

    private var vicuna7B: LanguageConfig { vicuna(hidden: 4096, inner: 11_008, layers: 32, heads: 32, head: 128) }
    private var nanoLlama: LanguageConfig {
        llama(hidden: 192, inner: 512, layers: 4, heads: 6, keyHeads: 2, head: 32)
    }

    private var mini: FusionConfig {
        FusionConfig(
            compressorSize: 1, compressorWidth: 1024, compressorHeadCount: 8, projectorDepth: 2,
            prefusionLayerCount: 4, visionSelectLayer: -2, resolutionRatio: 1)
    }
    private var nanoMini: FusionConfig {
        FusionConfig(
            compressorSize: 1, compressorWidth: 128, compressorHeadCount: 4, projectorDepth: 2,
            prefusionLayerCount: 2, visionSelectLayer: -2, resolutionRatio: 1)
    }
    private func uncompressed(_ vision: VisionConfig) -> FusionConfig {
        FusionConfig(
            compressorSize: vision.gridSize, compressorWidth: vision.hiddenSize, compressorHeadCount: 1,
            projectorDepth: 2, prefusionLayerCount: 0, visionSelectLayer: -2, resolutionRatio: 1,
            hasCompressor: false)
    }

    private var clip: VisionConfig {
        VisionConfig(
            hiddenSize: 1024, intermediateSize: 4096, layerCount: 24, headCount: 16, imageSize: 336,
            patchSize: 14, layerNormEpsilon: 1e-5)
    }
    private var nanoClip: VisionConfig {
        VisionConfig(
            hiddenSize: 128, intermediateSize: 512, layerCount: 4, headCount: 4, imageSize: 84, patchSize: 14,
            layerNormEpsilon: 1e-5)
    }

    /// Number of tokens before the special ones.
    package var regularTokens: Int {
        switch self {
        case .llavaMini8B: 128_000
        // With the special ones 32,000.
        case .llavaMini7B, .llava7B: 32_000 - RandomVocabulary.specialCount
        case .nano, .llavaNano: 600
        }
    }

    /// Token IDs of `<|end_of_text|>`, `<|eom_id|>` and `<|eot_id|>`; of `</s>` for a Vicuna.
    var stopTokens: [Int] { (isVicuna ? [RandomVocabulary.endIndex] : [1, 8, 9]).map { regularTokens + $0 } }
}

extension RandomCheckpoint {
    /// Returns tokenizer.json, tokenizer_config.json and special_tokens_map.json.
    package static func tokenizerFiles(of shape: Shape) -> [(name: String, text: String)] {
        RandomVocabulary(shape).files()
    }

    /// Returns config.json and generation_config.json, and the vision tower's config.json and preprocessor_config.json.
    static func configFiles(of shape: Shape, type: DataType) -> [(name: String, text: String)] {
        let dataType = ["bf16": "bfloat16", "f16": "float16"][type.rawValue] ?? "float32"
        let parts = shape.parts
        return [
            ("config.json", model(shape, dataType: dataType)),
            ("generation_config.json", generation(shape)),
            ("\(towerName)/config.json", tower(parts.vision, dataType: dataType)),
            ("\(towerName)/preprocessor_config.json", preprocessor(parts.vision)),
        ].map { ($0.0, JSONValue.object($0.1).text(indented: true) + "\n") }
    }

    private static func whole(_ value: Int) -> JSONValue { .integer(Int64(value)) }

    private static func model(_ shape: Shape, dataType: String) -> [String: JSONValue] {
        let (language, fusion, vision) = shape.parts
        var config: [String: JSONValue] = [
            "_longtake": .string("random weights: the answers of this model are noise"),
            "architectures": .array([
                .string(shape.isUncompressed ? "LlavaLlamaForCausalLM" : "LlavaMiniLlamaForCausalLM")
            ]),
            "attention_bias": .bool(false), "attention_dropout": .number(0), "mlp_bias": .bool(false),
            "bos_token_id": whole(shape.regularTokens), "eos_token_id": .array(shape.stopTokens.map(whole)),
            "hidden_act": .string("silu"), "hidden_size": whole(language.hiddenSize),
            "intermediate_size": whole(language.intermediateSize), "num_hidden_layers": whole(language.layerCount),
            "num_attention_heads": whole(language.headCount),
            "num_key_value_heads": whole(language.keyValueHeadCount), "head_dim": whole(language.headSize),
            "vocab_size": whole(language.vocabularySize), "rms_norm_eps": .number(1e-5),
            "max_position_embeddings": whole(language.maxPositions), "initializer_range": .number(0.02),
            "rope_theta": .number(language.rope.theta), "tie_word_embeddings": .bool(language.tiedEmbeddings),
            "model_type": .string(shape.isUncompressed ? "llava_llama" : "llava_mini_llama"),
            "torch_dtype": .string(dataType), "use_cache": .bool(true),
            "transformers_version": .string("4.43.1"), "pretraining_tp": .integer(1),
        ]
        if let scaling = language.rope.scaling {
            config["rope_scaling"] = .object([
                "rope_type": .string("llama3"), "factor": .number(scaling.factor),
                "low_freq_factor": .number(scaling.lowFrequencyFactor),
                "high_freq_factor": .number(scaling.highFrequencyFactor),
                "original_max_position_embeddings": whole(Int(saturating: scaling.originalMaxPositions)),
            ])
        }
        if shape.isVicuna { config["conv_mode"] = .string("vicuna_v1") }
        var multimodal: [String: JSONValue] = [
            "mm_projector_type": .string("mlp\(fusion.projectorDepth)x_gelu"), "use_mm_proj": .bool(true),
            "mm_vision_tower": .string(towerName), "mm_hidden_size": whole(vision.hiddenSize),
            "mm_vision_select_layer": whole(fusion.visionSelectLayer),
            "mm_vision_select_feature": .string("patch"), "mm_patch_merge_type": .string("flat"),
            "mm_use_im_patch_token": .bool(false), "mm_use_im_start_end": .bool(false),
            "image_aspect_ratio": .string("pad"), "tokenizer_padding_side": .string("right"),
            "tokenizer_model_max_length": whole(language.maxPositions),
            "freeze_mm_mlp_adapter": .bool(false), "tune_mm_mlp_adapter": .bool(false),
        ]
        if fusion.hasCompressor {
            multimodal["compressor_size"] = whole(fusion.compressorSize)
            multimodal["compressor_embed_dim"] = whole(fusion.compressorWidth)
            multimodal["compressor_num_heads"] = whole(fusion.compressorHeadCount)
            multimodal["prefusion_layer_num"] = whole(fusion.prefusionLayerCount)
            multimodal["resolution_ratio"] = whole(fusion.resolutionRatio)
        }
        config.merge(multimodal) { _, new in new }
        return config
    }

    private static func generation(_ shape: Shape) -> [String: JSONValue] {
        [
            "bos_token_id": whole(shape.regularTokens), "eos_token_id": .array(shape.stopTokens.map(whole)),
            "do_sample": .bool(true), "temperature": .number(0.6), "top_p": .number(0.9),
            "transformers_version": .string("4.43.1"),
        ]
    }

    private static func tower(_ vision: VisionConfig, dataType: String) -> [String: JSONValue] {
        [
            "architectures": .array([.string("CLIPVisionModel")]), "model_type": .string("clip_vision_model"),
            "hidden_act": .string("quick_gelu"), "hidden_size": whole(vision.hiddenSize),
            "intermediate_size": whole(vision.intermediateSize), "num_hidden_layers": whole(vision.layerCount),
            "num_attention_heads": whole(vision.headCount), "image_size": whole(vision.imageSize),
            "patch_size": whole(vision.patchSize), "num_channels": .integer(3), "layer_norm_eps": .number(1e-5),
            "projection_dim": .integer(768), "torch_dtype": .string(dataType),
            "transformers_version": .string("4.43.1"),
        ]
    }

    private static func preprocessor(_ vision: VisionConfig) -> [String: JSONValue] {
        [
            "feature_extractor_type": .string("CLIPFeatureExtractor"), "crop_size": whole(vision.imageSize),
            "size": whole(vision.imageSize), "do_center_crop": .bool(true), "do_normalize": .bool(true),
            "do_resize": .bool(true), "resample": .integer(3),
            "image_mean": .array([0.48145466, 0.4578275, 0.40821073].map(JSONValue.number)),
            "image_std": .array([0.26862954, 0.26130258, 0.27577711].map(JSONValue.number)),
        ]
    }
}
