import Checkpoints
import Foundation
import Testing

/// Configurations of LLaVA-v1.5 in both layouts.
@Suite struct LlavaHFLayoutTests {
    private static let fixtures = URL(filePath: goldenFolder).deletingLastPathComponent().appending(path: "llava").path

    private func edited(_ layout: String, _ edit: (inout [String: Any]) -> Void) throws -> String? {
        try withTemporaryFolder { folder in
            let path = folder + "/model"
            try FileManager.default.copyItem(atPath: Self.fixtures + "/" + layout, toPath: path)
            try editConfig(of: path, edit)
            return refusal(of: path)
        }
    }

    @Test func `both layouts have the same configuration`() throws {
        let hf = try CheckpointFolder(path: Self.fixtures + "/hf")
        let original = try CheckpointFolder(path: Self.fixtures + "/original")
        try hf.validate()
        try original.validate()
        #expect(hf.kind == .llava && original.kind == .llava)
        #expect(hf.language == original.language)
        #expect(hf.fusion == original.fusion)
        #expect(hf.vision == original.vision)
        #expect(hf.stopTokenIDs == [2] && original.stopTokenIDs == [2])
        #expect(hf.imageAspectRatio != "pad" && original.imageAspectRatio == "pad")
        // transformers 5 has the settings of pictures in processor_config.json.
        let settings = try #require(hf.preprocessorConfigBytes)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(settings)) as? [String: Any])
        #expect(object["image_processor_type"] as? String == "CLIPImageProcessor")
    }

    /// What llava-1.5-7b-hf's config.json leaves out is LlamaConfig's and CLIPVisionConfig's default.
    @Test func `absent keys have the defaults of transformers`() throws {
        let text = try edited("hf") { config in
            config["text_config"] = ["model_type": "llama", "rms_norm_eps": 1e-5, "vocab_size": 1216]
        }
        let said = try #require(text)
        #expect(said.contains("model.layers.2.self_attn.q_proj.weight"), "\(said)")
    }

    @Test func `the first checkpoints of the original have the model type of transformers`() throws {
        #expect(try edited("original") { $0["model_type"] = "llava" } == nil)
    }

    @Test func `rope_parameters are read`() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/model"
            try FileManager.default.copyItem(atPath: Self.fixtures + "/hf", toPath: path)
            try editConfig(of: path) { config in
                guard var text = config["text_config"] as? [String: Any] else { return }
                text["rope_parameters"] = ["rope_type": "default", "rope_theta": 500_000.0]
                config["text_config"] = text
            }
            #expect(try CheckpointFolder(path: path).language?.rope.theta == 500_000)
        }
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        let layout: String
        let part: String?
        let key: String
        let value: String  // JSON
        let says: [String]
        var testDescription: String { "\(layout) \(part ?? "") \(key) \(value)" }
    }

    static let refused = [
        Refused(
            layout: "hf", part: "text_config", key: "model_type", value: "\"mistral\"", says: ["\"mistral\"", "llama"]),
        Refused(
            layout: "hf", part: "vision_config", key: "model_type", value: "\"siglip_vision_model\"",
            says: ["siglip_vision_model", "clip_vision_model"]),
        Refused(layout: "hf", part: nil, key: "vision_config", value: "null", says: ["vision_config is missing"]),
        Refused(
            layout: "hf", part: nil, key: "vision_feature_select_strategy", value: "\"full\"",
            says: ["\"full\"", "default"]),
        Refused(layout: "hf", part: nil, key: "vision_feature_layer", value: "[-2,-5]", says: ["whole number"]),
        Refused(layout: "hf", part: nil, key: "vision_feature_layer", value: "-9", says: ["is -9", "3 layers"]),
        Refused(layout: "hf", part: nil, key: "projector_hidden_act", value: "\"relu\"", says: ["\"relu\"", "gelu"]),
        Refused(
            layout: "hf", part: nil, key: "multimodal_projector_bias", value: "false",
            says: ["multimodal_projector_bias"]),
        Refused(
            layout: "original", part: nil, key: "image_aspect_ratio", value: "\"anyres\"", says: ["\"anyres\"", "pad"]),
        Refused(
            layout: "original", part: nil, key: "mm_patch_merge_type", value: "\"spatial_unpad\"",
            says: ["\"spatial_unpad\"", "flat"]),
        Refused(
            layout: "original", part: nil, key: "mm_projector_type", value: "\"mlp3x_gelu\"",
            says: ["model.mm_projector.4.weight"]),
    ]

    @Test(arguments: refused) func `what is computed otherwise is refused`(one: Refused) throws {
        let value = try JSONSerialization.jsonObject(with: Data(one.value.utf8), options: .fragmentsAllowed)
        let text = try edited(one.layout) { config in
            guard let part = one.part else {
                config[one.key] = value
                return
            }
            var inner = config[part] as? [String: Any] ?? [:]
            inner[one.key] = value
            config[part] = inner
        }
        for word in one.says { #expect(text?.contains(word) == true, "\(text ?? "accepted")") }
    }
}
