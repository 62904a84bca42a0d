internal import Tensors

// The config keys of each kind of model, their defaults in transformers 4.43, and the ranges accepted here.
//
// The ranges are far beyond every published model and far below what would overflow a size: they stop a damaged or
// hostile config before anything is allocated from it.

extension LanguageConfig {
    /// Reads a Llama or LLaVA-Mini `config.json`.
    init(_ config: ConfigReader) throws {
        try config.requireFalse("attention_bias")
        try config.requireFalse("mlp_bias")
        try config.require("hidden_act", isOneOf: ["silu"])
        let width = try config.integer("hidden_size", in: 1...65_536)
        let heads = try config.integer("num_attention_heads", in: 1...1024)
        let keyValueHeads = try config.integer("num_key_value_heads", in: 1...1024, default: heads)
        try config.require("num_attention_heads", heads, isDividedBy: keyValueHeads, "num_key_value_heads")
        if config.value("head_dim") == nil {
            try config.require("hidden_size", width, isDividedBy: heads, "num_attention_heads")
        }
        let headSize = try config.integer("head_dim", in: 1...4096, default: width / heads)
        // Rotary embedding rotates pairs of elements.
        try config.require("head_dim", headSize, isDividedBy: 2, "the rotary pair")
        self.init(
            hiddenSize: width,
            intermediateSize: try config.integer("intermediate_size", in: 1...1_048_576),
            layerCount: try config.integer("num_hidden_layers", in: 1...1024),
            headCount: heads, keyValueHeadCount: keyValueHeads, headSize: headSize,
            vocabularySize: try config.integer("vocab_size", in: 1...16_777_216),
            rmsNormEpsilon: Float(try config.double("rms_norm_eps", in: 1e-12...0.1, default: 1e-6)),
            rope: try RopeConfig(config),
            maxPositions: try config.integer("max_position_embeddings", in: 1...1_073_741_824, default: 2048),
            tiedEmbeddings: try config.flag("tie_word_embeddings"))
    }
}

extension RopeConfig {
    /// Reads `rope_theta` and `rope_scaling` of a Llama `config.json`, or `rope_parameters`, which has both.
    init(_ config: ConfigReader) throws {
        // transformers 5 writes only `rope_parameters`.
        let parameters = try config.object("rope_parameters")
        let theta = config.value("rope_theta") == nil ? parameters ?? config : config
        self.init(theta: try theta.double("rope_theta", in: 1...1e12, default: 10_000))
        guard let scaling = try config.object("rope_scaling") ?? parameters else { return }
        // transformers before 4.43 named the key "type".
        guard let type = try scaling.string("rope_type") ?? scaling.string("type") else {
            throw CheckpointError.keyMissing(scaling.file, "rope_type")
        }
        switch type {
        case "default": break
        case "llama3":
            let low = try scaling.double("low_freq_factor", in: 1e-6...1e6)
            let high = try scaling.double("high_freq_factor", in: 1e-6...1e6)
            guard high > low else {
                throw CheckpointError.outOfRange(
                    scaling.file, "high_freq_factor", "\(high)", "above low_freq_factor, \(low)")
            }
            self.scaling = Llama3Scaling(
                factor: try scaling.double("factor", in: 1...1e6), lowFrequencyFactor: low, highFrequencyFactor: high,
                originalMaxPositions: try scaling.double("original_max_position_embeddings", in: 1...1e9))
        default: throw CheckpointError.ropeTypeUnknown(config.file, type)
        }
    }
}

extension VisionConfig {
    /// Reads the config of a `clip_vision_model`, or `vision_config` of a two-tower model.
    init(_ config: ConfigReader, projectionSize: Int?) throws {
        try config.require("hidden_act", isOneOf: ["quick_gelu"])
        guard try config.integer("num_channels", in: 1...64, default: 3) == 3 else {
            throw CheckpointError.unsupported(config.file, "num_channels", "not 3", "3")
        }
        let width = try config.integer("hidden_size", in: 1...65_536, default: 768)
        let heads = try config.integer("num_attention_heads", in: 1...1024, default: 12)
        try config.require("hidden_size", width, isDividedBy: heads, "num_attention_heads")
        let image = try config.integer("image_size", in: 1...4096, default: 224)
        let patch = try config.integer("patch_size", in: 1...512, default: 32)
        try config.require("image_size", image, isDividedBy: patch, "patch_size")
        self.init(
            hiddenSize: width,
            intermediateSize: try config.integer("intermediate_size", in: 1...1_048_576, default: 3072),
            layerCount: try config.integer("num_hidden_layers", in: 1...1024, default: 12),
            headCount: heads, imageSize: image, patchSize: patch,
            layerNormEpsilon: Float(try config.double("layer_norm_eps", in: 1e-12...0.1, default: 1e-5)),
            projectionSize: projectionSize)
    }
}

extension TextTowerConfig {
    /// Reads `text_config` of a two-tower CLIP model.
    init(_ config: ConfigReader, projectionSize: Int) throws {
        try config.require("hidden_act", isOneOf: ["quick_gelu"])
        let width = try config.integer("hidden_size", in: 1...65_536, default: 512)
        let heads = try config.integer("num_attention_heads", in: 1...1024, default: 8)
        try config.require("hidden_size", width, isDividedBy: heads, "num_attention_heads")
        let vocabulary = try config.integer("vocab_size", in: 1...16_777_216, default: 49_408)
        self.init(
            hiddenSize: width,
            intermediateSize: try config.integer("intermediate_size", in: 1...1_048_576, default: 2048),
            layerCount: try config.integer("num_hidden_layers", in: 1...1024, default: 12),
            headCount: heads, vocabularySize: vocabulary,
            maxPositions: try config.integer("max_position_embeddings", in: 1...65_536, default: 77),
            layerNormEpsilon: Float(try config.double("layer_norm_eps", in: 1e-12...0.1, default: 1e-5)),
            endTokenID: try config.integer("eos_token_id", in: 0...16_777_215, default: 49_407),
            projectionSize: projectionSize)
    }
}

extension FusionConfig {
    /// Reads the fusion keys of a LLaVA-Mini `config.json`; `Tower` checks the vision width.
    init(_ config: ConfigReader) throws {
        // Without this key the reference builds no compressor, and its forward pass then fails.
        let size = try config.integer("compressor_size", in: 1...32)
        let width = try config.integer("compressor_embed_dim", in: 4...65_536, default: 1024)
        let heads = try config.integer("compressor_num_heads", in: 1...1024, default: 8)
        try config.require("compressor_embed_dim", width, isDividedBy: heads, "compressor_num_heads")
        try config.require("mm_vision_select_feature", isOneOf: ["patch"])
        try config.requireFalse("mm_use_im_start_end")
        try config.requireFalse("s2")
        self.init(
            compressorSize: size, compressorWidth: width, compressorHeadCount: heads,
            projectorDepth: try Self.projectorDepth(config),
            prefusionLayerCount: try config.integer("prefusion_layer_num", in: 1...64, default: 4),
            visionSelectLayer: try config.integer("mm_vision_select_layer", in: -1024...(-1), default: -2),
            resolutionRatio: try config.integer("resolution_ratio", in: 1...8, default: 1),
            plainProjector: try config.string("mm_projector_type") ?? "linear" == "linear")
    }

    /// Reads the keys of a LLaVA-v1.5 `config.json`: a projector, and neither compressor nor pre-fusion.
    ///
    /// - Parameter vision: the tower, whose patches become the vision tokens.
    init(uncompressed config: ConfigReader, vision: VisionConfig) throws {
        try config.require("mm_vision_select_feature", isOneOf: ["patch"])
        try config.requireFalse("mm_use_im_start_end")
        try config.requireFalse("s2")
        // LLaVA-NeXT has the same model_type; its images become several crops.
        try config.require("image_aspect_ratio", isOneOf: ["pad", "square"])
        try config.require("mm_patch_merge_type", isOneOf: ["flat"])
        self.init(
            compressorSize: vision.gridSize, compressorWidth: vision.hiddenSize, compressorHeadCount: 1,
            projectorDepth: try Self.projectorDepth(config), prefusionLayerCount: 0,
            visionSelectLayer: try config.integer("mm_vision_select_layer", in: -1024...(-1), default: -2),
            resolutionRatio: 1, plainProjector: try config.string("mm_projector_type") ?? "linear" == "linear",
            hasCompressor: false)
    }

    private static func projectorDepth(_ config: ConfigReader) throws -> Int {
        let type = try config.string("mm_projector_type") ?? "linear"
        if type == "linear" { return 1 }
        let middle = type.hasPrefix("mlp") && type.hasSuffix("x_gelu") ? type.dropFirst(3).dropLast(6) : ""
        guard let depth = Int(middle), (1...8).contains(depth), String(depth) == middle else {
            throw CheckpointError.unsupported(
                config.file, "mm_projector_type", "\"\(type)\"", "linear, or mlp1x_gelu to mlp8x_gelu")
        }
        return depth
    }
}

extension EvidenceConfig {
    /// Reads `longtake_evidence` of a LLaVA-Mini `config.json`; nil if absent.
    init?(_ config: ConfigReader, language: LanguageConfig) throws {
        guard let evidence = try config.object("longtake_evidence") else { return nil }
        let expected = "a list of 1 to 16 pairs [layer, head], layers counted from 1, heads from 0"
        guard let list = evidence.value("heads")?.arrayValue, (1...16).contains(list.count) else {
            throw CheckpointError.keyType(evidence.file, "heads", expected)
        }
        heads = try list.map { pair in
            guard let indices = pair.arrayValue?.map(\.intValue), indices.count == 2, let layer = indices[0],
                let head = indices[1]
            else { throw CheckpointError.keyType(evidence.file, "heads", expected) }
            guard (1...language.layerCount).contains(layer), (0..<language.headCount).contains(head) else {
                throw CheckpointError.outOfRange(
                    evidence.file, "heads", "[\(layer), \(head)]",
                    "layer 1 to \(language.layerCount), head 0 to \(language.headCount - 1)")
            }
            return AttentionHead(layer: layer - 1, head: head)
        }
        found = try evidence.double("found", in: 0...1, default: 0.3)
    }
}
