public import Tensors

/// The part of a model that a tensor belongs to.
public enum ModelPart: String, Sendable, Codable, CaseIterable {
    /// The language model.
    case language
    /// The pre-fusion layers.
    case prefusion
    /// The compressor.
    case compressor
    /// The projector.
    case projector
    /// The vision tower.
    case vision
    /// CLIP's text tower.
    case text
}

/// A tensor that a configuration calls for.
public struct ExpectedTensor: Sendable, Equatable {
    /// The Hugging Face name.
    public let name: String
    /// The dimensions; empty for a scalar.
    public let shape: [Int]
    /// The part it belongs to.
    public let part: ModelPart
    /// True if the model runs without it: vision layers after the selected one.
    public let isOptional: Bool

    /// Number of elements; cannot overflow, because shapes come from range-checked configurations.
    public var count: Int { shape.reduce(1, *) }
}

/// The tensors of each part of a model, by Hugging Face name.
///
/// Letters: H language width, I inner width, V vocabulary, D vision width, E compressor width, P patches, C2 tokens per
/// frame.
public enum TensorCatalog {
    /// Every tensor of a LLaVA-Mini or LLaVA-v1.5 but its vision tower's.
    public static func llavaMini(_ config: LanguageConfig, _ fusion: FusionConfig) -> [ExpectedTensor] {
        language(config) + projector(config, fusion) + prefusion(config, fusion) + compressor(fusion)
    }

    /// `model.embed_tokens`, `model.layers.*`, `model.norm`, and `lm_head` unless the embeddings are tied.
    public static func language(_ config: LanguageConfig) -> [ExpectedTensor] {
        var list = List(part: .language)
        list.add(TensorName.tokenEmbeddings, [config.vocabularySize, config.hiddenSize])  // [V, H]
        for layer in 0..<config.layerCount { decoderLayer(TensorName.languageLayer(layer), config, into: &list) }
        list.add(TensorName.finalNorm, [config.hiddenSize])  // [H]
        if !config.tiedEmbeddings { list.add(TensorName.outputEmbeddings, [config.vocabularySize, config.hiddenSize]) }
        return list.tensors
    }

    /// `model.prefusion_layers.*`: decoder layers of the language model's shape.
    public static func prefusion(_ config: LanguageConfig, _ fusion: FusionConfig) -> [ExpectedTensor] {
        var list = List(part: .prefusion)
        for layer in 0..<fusion.prefusionLayerCount {
            decoderLayer(TensorName.prefusionLayer(layer), config, into: &list)
        }
        return list.tensors
    }

    /// `model.compressor.*`; nothing without a compressor.
    public static func compressor(_ fusion: FusionConfig) -> [ExpectedTensor] {
        guard fusion.hasCompressor else { return [] }
        var list = List(part: .compressor)
        let width = fusion.compressorWidth, base = TensorName.compressor
        list.add(base + "pos_embed", [fusion.tokensPerFrame, width])  // [C2, E]
        list.add(base + "query", [fusion.tokensPerFrame, width])  // [C2, E]
        list.add(base + "attn.in_proj_weight", [3 * width, width])
        list.add(base + "attn.in_proj_bias", [3 * width])
        list.linear(base + "attn.out_proj", width, width)
        for norm in ["ln_q", "ln_kv"] { list.norm(base + norm, width) }
        return list.tensors
    }

    /// `model.mm_projector.*`: K linear layers at indices 0, 2, 4 … with GELU between them, or one without an index.
    public static func projector(_ config: LanguageConfig, _ fusion: FusionConfig) -> [ExpectedTensor] {
        var list = List(part: .projector)
        for layer in 0..<fusion.projectorDepth {
            let name = TensorName.projector + (fusion.plainProjector ? "" : "\(2 * layer).")
            let input = layer == 0 ? fusion.compressorWidth : config.hiddenSize
            list.add(name + "weight", [config.hiddenSize, input])  // [H, E], then [H, H]
            list.add(name + "bias", [config.hiddenSize])
        }
        return list.tensors
    }

    /// `vision_model.*` after `prefix`; with a `selectLayer` (-2) the tensors after that hidden state are optional.
    public static func vision(_ config: VisionConfig, prefix: String = "", selectLayer: Int? = nil) -> [ExpectedTensor]
    {
        var list = List(part: .vision)
        let width = config.hiddenSize
        let base = prefix + TensorName.visionTower
        list.add(base + "embeddings.class_embedding", [width])  // [D]
        list.add(base + "embeddings.patch_embedding.weight", [width, 3, config.patchSize, config.patchSize])
        list.add(base + "embeddings.position_embedding.weight", [config.patchCount + 1, width])  // [P + 1, D]
        list.norm(base + "pre_layrnorm", width)
        // Hidden state -1 follows the last layer, -2 the layer before it.
        let used = selectLayer.map { config.layerCount + 1 + $0 } ?? config.layerCount
        for layer in 0..<config.layerCount {
            list.isOptional = layer >= used
            encoderLayer(base + TensorName.encoderLayer(layer), width, config.intermediateSize, into: &list)
        }
        list.isOptional = selectLayer != nil
        list.norm(base + "post_layernorm", width)
        list.isOptional = false
        if let projection = config.projectionSize {
            list.add(prefix + TensorName.visualProjection + "weight", [projection, width])
        }
        return list.tensors
    }

    /// `text_model.*`, `text_projection` and `logit_scale` of a two-tower CLIP model.
    public static func text(_ config: TextTowerConfig) -> [ExpectedTensor] {
        var list = List(part: .text)
        let width = config.hiddenSize, base = TensorName.textTower
        list.add(base + "embeddings.token_embedding.weight", [config.vocabularySize, width])
        list.add(base + "embeddings.position_embedding.weight", [config.maxPositions, width])
        for layer in 0..<config.layerCount {
            encoderLayer(base + TensorName.encoderLayer(layer), width, config.intermediateSize, into: &list)
        }
        list.norm(base + "final_layer_norm", width)
        list.add(TensorName.textProjection + "weight", [config.projectionSize, width])
        list.add("logit_scale", [])
        return list.tensors
    }

    /// True if tensors of a CLIP folder include the text tower and its projection, by one tensor of each.
    public static func hasTextTower(_ tensors: [String: StoredTensor]) -> Bool {
        [TensorName.textTower + "final_layer_norm.weight", TensorName.textProjection + "weight"]
            .allSatisfy { tensors[$0] != nil }
    }

    private static func decoderLayer(_ base: String, _ config: LanguageConfig, into list: inout List) {
        let width = config.hiddenSize
        let queries = config.headCount * config.headSize, keys = config.keyValueHeadCount * config.headSize
        list.add(base + "self_attn.q_proj.weight", [queries, width])
        list.add(base + "self_attn.k_proj.weight", [keys, width])
        list.add(base + "self_attn.v_proj.weight", [keys, width])
        list.add(base + "self_attn.o_proj.weight", [width, queries])
        list.add(base + "mlp.gate_proj.weight", [config.intermediateSize, width])  // [I, H]
        list.add(base + "mlp.up_proj.weight", [config.intermediateSize, width])  // [I, H]
        list.add(base + "mlp.down_proj.weight", [width, config.intermediateSize])  // [H, I]
        list.add(base + "input_layernorm.weight", [width])
        list.add(base + "post_attention_layernorm.weight", [width])
    }

    private static func encoderLayer(_ base: String, _ width: Int, _ inner: Int, into list: inout List) {
        for name in ["k_proj", "v_proj", "q_proj", "out_proj"] { list.linear(base + "self_attn." + name, width, width) }
        list.norm(base + "layer_norm1", width)
        list.linear(base + "mlp.fc1", inner, width)
        list.linear(base + "mlp.fc2", width, inner)
        list.norm(base + "layer_norm2", width)
    }

    private struct List {
        let part: ModelPart
        var isOptional = false
        var tensors: [ExpectedTensor] = []

        init(part: ModelPart) { self.part = part }

        mutating func add(_ name: String, _ shape: [Int]) {
            tensors.append(ExpectedTensor(name: name, shape: shape, part: part, isOptional: isOptional))
        }
        mutating func norm(_ name: String, _ width: Int) {
            add(name + ".weight", [width])
            add(name + ".bias", [width])
        }
        mutating func linear(_ name: String, _ output: Int, _ input: Int) {
            add(name + ".weight", [output, input])
            add(name + ".bias", [output])
        }
    }
}
