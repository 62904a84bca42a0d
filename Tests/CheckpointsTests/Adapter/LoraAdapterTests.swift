import Checkpoints
import Foundation
import Tensors
import Testing

/// Adapters that PEFT wrote, and what it merges them to: Tests/Fixtures/lora/write.py.
@Suite struct LoraAdapterTests {
    static let fixtures = URL(filePath: goldenFolder).deletingLastPathComponent().appending(path: "lora").path
    static let base = goldenFolder + "/case08_llm/tied_tiny_embeddings"

    @Test(
        "merged weights are PEFT's to 1e-5, in F16 to the last bit, all others the base model's",
        arguments: [
            ("lora", "tied_tiny_embeddings"), ("rslora", "tied_tiny_embeddings"), ("embeddings", "vicuna_mha"),
            ("llava", "vicuna_mha"),
        ])
    func merge(name: String, golden: String) throws {
        let folder = try CheckpointFolder(path: "\(Self.fixtures)/\(name)", environment: [:])
        #expect(try folder.validate() == [])
        #expect(folder.kind == .llama && folder.baseFolder?.hasSuffix("case08_llm/" + golden) == true)
        let merged = try SafetensorsFile(path: "\(Self.fixtures)/\(name)/merged.safetensors").tensors
        let base = try WeightsFolder(path: "\(goldenFolder)/case08_llm/\(golden)").tensors
        #expect(Set(folder.weights.tensors.keys) == Set(base.keys) && merged.count >= 5)
        for (name, tensor) in folder.weights.tensors {
            let before = try #require(base[name])
            #expect(tensor.shape == before.shape && tensor.name == name)
            guard let wanted = try merged[name]?.floats() else {
                #expect(tensor.bytes.elementsEqual(before.bytes), "\(name)")
                continue
            }
            let found = try tensor.floats()
            // F16 has 11 bits: a sum in another order may round to the next value, and PEFT rounds updates of
            // embeddings.
            let old = try before.floats()
            let error =
                found.indices.map { index in
                    let rounding = tensor.type == .f16 ? (abs(wanted[index]) + abs(old[index])) * 0x1p-10 : 0
                    return abs(found[index] - wanted[index]) - rounding
                }.max() ?? .infinity
            #expect(found.count == wanted.count && error <= 1e-5, "\(name): \(error)")
            #expect(!tensor.bytes.elementsEqual(before.bytes), "\(name)")
        }
    }

    /// A copy of an adapter's folder whose base model is named by an absolute path.
    private static func withCopy(_ name: String = "lora", _ body: (String) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let copy = folder + "/adapter"
            try FileManager.default.copyItem(atPath: "\(fixtures)/\(name)", toPath: copy)
            try editConfig(of: copy, file: "adapter_config.json") { $0["base_model_name_or_path"] = base }
            try body(copy)
        }
    }

    private static func expectRefusal(of folder: String, _ says: String) {
        let error = #expect(throws: (any Error).self, "\(says)") {
            try CheckpointFolder(path: folder, environment: [:]).validate()
        }
        #expect(error.map { "\($0)" }?.contains(says) == true, "\(error.map { "\($0)" } ?? "")")
    }

    @Test func `the identity is that of base model and adapter`() throws {
        func identity(_ folder: String) throws -> [UInt8] {
            var all: [UInt8] = []
            try CheckpointFolder(path: folder, environment: [:]).identityBytes { all += Array($0) }
            return all
        }
        try Self.withCopy { folder in
            let first = try identity(folder)
            #expect(try identity(folder) == first && identity(Self.base) != first)
            let path = URL(filePath: folder + "/adapter_model.safetensors")
            var data = try Data(contentsOf: path)
            data[data.count - 5] ^= 1
            try data.write(to: path)
            #expect(try identity(folder) != first)
            try editConfig(of: folder, file: "adapter_config.json") { $0["lora_alpha"] = 9 }
            let other = try identity(folder)
            try editConfig(of: folder, file: "adapter_config.json") { $0["lora_alpha"] = 10 }
            #expect(try identity(folder) != other)
        }
    }

    @Test(
        "settings that compute something else are refused",
        arguments: [
            ("use_dora", "true", "use_dora"), ("lora_bias", "true", "lora_bias"), ("use_qalora", "true", "use_qalora"),
            ("layer_replication", "[[0,1]]", "layer_replication"),
            ("init_lora_weights", "\"pissa_niter_4\"", "pissa_niter_4"),
            ("peft_type", "\"IA3\"", "peft_type is \"IA3\""), ("r", "0", "r is 0"), ("r", "5", "rank 5"),
            ("lora_alpha", "\"8\"", "lora_alpha must be a number"), ("base_model_name_or_path", "null", "is missing"),
            (
                "base_model_name_or_path", "\"org/nosuch\"",
                "a LoRA adapter of \"org/nosuch\", which is not on this machine"
            ),
            ("rank_pattern", "{\".*q_proj\":2}", "regular expressions"),
            ("rank_pattern", "{\"q_proj\":-2}", "must be a number"),
            ("fan_in_fan_out", "true", "does not fit the base model"),
        ])
    func settings(key: String, value: String, says: String) throws {
        try Self.withCopy { folder in
            try editConfig(of: folder, file: "adapter_config.json") { config in
                config[key] = try? JSONSerialization.jsonObject(with: Data(value.utf8), options: .fragmentsAllowed)
            }
            Self.expectRefusal(of: folder, says)
        }
    }

    @Test func `files that are missing or do not fit are named`() throws {
        try Self.withCopy { folder in
            let file = folder + "/adapter_model.safetensors"
            let header = try String(decoding: Data(contentsOf: URL(filePath: file)).prefix(9000), as: UTF8.self)
            #expect(header.contains("layers.0.self_attn.q_proj.lora_A"))
            func replace(_ text: String, by other: String) throws {
                var data = try Data(contentsOf: URL(filePath: Self.fixtures + "/lora/adapter_model.safetensors"))
                let range = try #require(data.range(of: Data(text.utf8)))
                data.replaceSubrange(range, with: Data(other.utf8))
                try data.write(to: URL(filePath: file))
            }
            try replace("layers.0.self_attn.q_proj.lora_A", by: "layers.9.self_attn.q_proj.lora_A")
            Self.expectRefusal(of: folder, "has only one of lora_A and lora_B")
            try replace(
                "base_model.model.model.layers.0.self_attn.q_proj.lora_A",
                by: "base.model.model.model.layers.0.self_attn.q_proj.lora_A")
            Self.expectRefusal(of: folder, "does not begin with base_model.model.")
            try replace("layers.0.self_attn.q_proj.lora_A", by: "layers.0.self_attn.q_proj.lora_E")
            Self.expectRefusal(of: folder, "is not supported")
            try FileManager.default.removeItem(atPath: file)
            Self.expectRefusal(of: folder, "without adapter_model.safetensors or adapter_model.bin")
        }
    }
}
