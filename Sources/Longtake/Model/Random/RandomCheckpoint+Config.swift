package import Checkpoints
import Tensors

extension RandomCheckpoint.Shape {
    /// The configuration of the parts, used for both configuration files and tensors.
    package var parts: (language: LanguageConfig, fusion: FusionConfig, vision: VisionConfig) {
        let rope = RopeConfig(
            theta: 500_000,
            scaling: Llama3Scaling(
                factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 8192))
        let vocabulary = regularTokens + RandomVocabulary.specialCount
        return switch self {
        case .llavaMini8B:
            (
                LanguageConfig(
                    hiddenSize: 4096, intermediateSize: 14_336, layerCount: 32, headCount: 32, keyValueHeadCount: 8,
                    headSize: 128, vocabularySize: vocabulary, rmsNormEpsilon: 1e-5, rope: rope,
                    maxPositions: 131_072, tiedEmbeddings: false),
                FusionConfig(
                    compressorSize: 1, compressorWidth: 1024, compressorHeadCount: 8, projectorDepth: 2,
                    prefusionLayerCount: 4, visionSelectLayer: -2, resolutionRatio: 1),
                VisionConfig(
                    hiddenSize: 1024, intermediateSize: 4096, layerCount: 24, headCount: 16, imageSize: 336,
                    patchSize: 14, layerNormEpsilon: 1e-5)
            )
        case .nano:
            (
                LanguageConfig(
                    hiddenSize: 192, intermediateSize: 512, layerCount: 4, headCount: 6, keyValueHeadCount: 2,
                    headSize: 32, vocabularySize: vocabulary, rmsNormEpsilon: 1e-5, rope: rope,
                    maxPositions: 131_072, tiedEmbeddings: false),
                FusionConfig(
                    compressorSize: 1, compressorWidth: 128, compressorHeadCount: 4, projectorDepth: 2,
                    prefusionLayerCount: 2, visionSelectLayer: -2, resolutionRatio: 1),
                VisionConfig(
                    hiddenSize: 128, intermediateSize: 512, layerCount: 4, headCount: 4, imageSize: 84, patchSize: 14,
                    layerNormEpsilon: 1e-5)
            )
        }
    }

    /// Number of tokens before the special ones.
    package var regularTokens: Int {
        switch self {
        case .llavaMini8B: 128_000
        case .nano: 600
        }
    }

    /// Token IDs of `<|end_of_text|>`, `<|eom_id|>` and `<|eot_id|>`.
    var stopTokens: [Int] { [1, 8, 9].map { regularTokens + $0 } }
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
            "architectures": .array([.string("LlavaMiniLlamaForCausalLM")]),
            "attention_bias": .bool(false), "attention_dropout": .number(0), "mlp_bias": .bool(false),
            "bos_token_id": whole(shape.regularTokens), "eos_token_id": .array(shape.stopTokens.map(whole)),
            "hidden_act": .string("silu"), "hidden_size": whole(language.hiddenSize),
            "intermediate_size": whole(language.intermediateSize), "num_hidden_layers": whole(language.layerCount),
            "num_attention_heads": whole(language.headCount),
            "num_key_value_heads": whole(language.keyValueHeadCount), "head_dim": whole(language.headSize),
            "vocab_size": whole(language.vocabularySize), "rms_norm_eps": .number(1e-5),
            "max_position_embeddings": whole(language.maxPositions), "initializer_range": .number(0.02),
            "rope_theta": .number(language.rope.theta), "tie_word_embeddings": .bool(language.tiedEmbeddings),
            "model_type": .string("llava_mini_llama"), "torch_dtype": .string(dataType), "use_cache": .bool(true),
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
        let multimodal: [String: JSONValue] = [
            "compressor_size": whole(fusion.compressorSize), "compressor_embed_dim": whole(fusion.compressorWidth),
            "compressor_num_heads": whole(fusion.compressorHeadCount),
            "prefusion_layer_num": whole(fusion.prefusionLayerCount),
            "resolution_ratio": whole(fusion.resolutionRatio),
            "mm_projector_type": .string("mlp\(fusion.projectorDepth)x_gelu"), "use_mm_proj": .bool(true),
            "mm_vision_tower": .string(towerName), "mm_hidden_size": whole(vision.hiddenSize),
            "mm_vision_select_layer": whole(fusion.visionSelectLayer),
            "mm_vision_select_feature": .string("patch"), "mm_patch_merge_type": .string("flat"),
            "mm_use_im_patch_token": .bool(false), "mm_use_im_start_end": .bool(false),
            "image_aspect_ratio": .string("pad"), "tokenizer_padding_side": .string("right"),
            "tokenizer_model_max_length": whole(language.maxPositions),
            "freeze_mm_mlp_adapter": .bool(false), "tune_mm_mlp_adapter": .bool(false),
        ]
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
