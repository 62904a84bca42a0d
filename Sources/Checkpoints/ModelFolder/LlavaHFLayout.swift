/// The layout of LLaVA-v1.5 in transformers (`LlavaForConditionalGeneration`, the `llava-hf` checkpoints): the same
/// weights as the original's under other names, and a configuration in parts.
///
/// Source: transformers' `configuration_llava.py` and `modeling_llava.py`.
struct LlavaHFLayout {
    /// The configuration by the original's keys: those of the language model, and `mm_…`.
    let config: ConfigReader
    /// The shape of the vision tower, which is inside the checkpoint.
    let vision: VisionConfig

    /// Reads a `config.json` of this layout; nil for any other, the original's `model_type` `llava` included.
    ///
    /// - Throws: `CheckpointError` for a value that would change the computation.
    init?(_ whole: ConfigReader) throws {
        guard try whole.string("model_type") == "llava", let text = try whole.object("text_config") else { return nil }
        guard let vision = try whole.object("vision_config") else {
            throw CheckpointError.keyMissing(whole.file, "vision_config")
        }
        try text.require("model_type", isOneOf: ["llama"])
        try vision.require("model_type", isOneOf: ["clip_vision_model"])
        try whole.require("projector_hidden_act", isOneOf: ["gelu"])
        // "default" leaves out the class row, "full" keeps it.
        try whole.require("vision_feature_select_strategy", isOneOf: ["default"])
        guard try whole.flag("multimodal_projector_bias", default: true) else {
            throw CheckpointError.unsupported(whole.file, "multimodal_projector_bias", "false", "true")
        }
        self.vision = try VisionConfig(vision, projectionSize: nil)
        // A text_config has only what differs from LlamaConfig's defaults; older ones leave these two to the whole.
        var members = Self.languageDefaults
        for key in ["vocab_size", "tie_word_embeddings"] { members[key] = whole.value(key) ?? members[key] }
        members.merge(text.members.filter { !$0.value.isNull }) { $1 }
        let layer = try whole.integer("vision_feature_layer", in: -1024...(-1), default: -2)
        members["mm_vision_select_layer"] = .integer(Int64(layer))
        members["mm_projector_type"] = .string("mlp2x_gelu")
        config = ConfigReader(file: text.file, members: members)
    }

    /// `LlamaConfig`'s defaults of the keys that are required elsewhere.
    private static let languageDefaults: [String: JSONValue] = [
        "hidden_size": .integer(4096), "intermediate_size": .integer(11_008), "num_hidden_layers": .integer(32),
        "num_attention_heads": .integer(32), "vocab_size": .integer(32_000), "bos_token_id": .integer(1),
        "eos_token_id": .integer(2),
    ]

    /// The original's name of a tensor; names that are not of this layout stay.
    ///
    /// transformers up to 4.51 names `language_model.model.`, `vision_tower.` and `multi_modal_projector.`, later
    /// versions `model.language_model.`, `model.vision_tower.`, `model.multi_modal_projector.` and `lm_head.` while
    /// running; version 5 saves the tower without `vision_model.`.
    static func originalName(_ name: String) -> String {
        if name.hasPrefix(TensorName.insideTower) { return name }
        for (prefix, original) in prefixes where name.hasPrefix(prefix) {
            return original + name.dropFirst(prefix.count)
        }
        for prefix in ["vision_tower.", "model.vision_tower."] where name.hasPrefix(prefix) {
            let inner = name.dropFirst(prefix.count)
            let tower = inner.hasPrefix(TensorName.visionTower) ? "" : TensorName.visionTower
            return TensorName.insideTower + tower + inner
        }
        return name
    }

    private static let prefixes = [
        ("language_model.model.", "model."), ("language_model.lm_head.", "lm_head."),
        ("model.language_model.", "model."),
        ("multi_modal_projector.linear_1.", TensorName.projector + "0."),
        ("multi_modal_projector.linear_2.", TensorName.projector + "2."),
        ("model.multi_modal_projector.linear_1.", TensorName.projector + "0."),
        ("model.multi_modal_projector.linear_2.", TensorName.projector + "2."),
    ]
}
