import Checkpoints
import Foundation
import Longtake
import Tensors
import Testing

/// Tensors that are missing, unexpected, of the wrong shape or not finite (faults M03 and M04).
@Suite struct CheckpointFolderTensorsTests {
    @Test("tensors that the configuration does not call for, or that it misses, are listed up to ten")
    func tensors() throws {
        try withNano(.f32) { folder in
            let config = try Data(contentsOf: URL(filePath: folder + "/config.json"))
            func with(_ key: String, _ value: Int, says words: [String]) throws {
                try editConfig(of: folder) { $0[key] = value }
                expectRefusal(of: folder, says: [folder] + words)
                try config.write(to: URL(filePath: folder + "/config.json"))
            }
            try with(
                "num_hidden_layers", 8,
                says: [
                    "36 tensors are missing: model.layers.4.self_attn.q_proj.weight, ", "and 26 more",
                ])
            try with(
                "num_hidden_layers", 2,
                says: [
                    "18 tensors are not in its configuration: model.layers.2.input_layernorm.weight, ", "and 8 more",
                ])
            try with(
                "intermediate_size", 500,
                says: [
                    "18 tensors have a wrong shape: ",
                    "model.layers.0.mlp.gate_proj.weight is [512, 192], the configuration says [500, 192]",
                    "and 8 more",
                ])
            try with(
                "vocab_size", 128_256,
                says: [
                    "2 tensors have a wrong shape", "model.embed_tokens.weight is [856, 192]", "[128256, 192]",
                ])
            // The header says another type of the same size.
            let path = folder + "/model.safetensors"
            var file = try Data(contentsOf: URL(filePath: path))
            let norm = try #require(file.range(of: Data("\"model.norm.weight\":{\"dtype\":\"F32".utf8)))
            file.replaceSubrange(norm.upperBound - 3..<norm.upperBound, with: Data("I32".utf8))
            try file.write(to: URL(filePath: path))
            expectRefusal(
                of: folder, says: [folder, "1 tensor is not stored as F32, F16 or BF16: model.norm.weight is I32"])
        }
    }

    @Test("a tower that is damaged is refused by its own folder")
    func tower() throws {
        try withNano { folder in
            let tower = folder + "/vision_tower"
            try editConfig(of: tower) { $0["num_hidden_layers"] = 5 }
            // The fifth layer comes after hidden state -2: still optional. The sixth makes it needed.
            #expect(refusal(of: folder) == nil)
            try editConfig(of: tower) { $0["num_hidden_layers"] = 6 }
            expectRefusal(
                of: folder, says: [tower, "16 tensors are missing: vision_model.encoder.layers.4.", "and 6 more"])
            try FileManager.default.removeItem(atPath: tower + "/config.json")
            expectRefusal(of: folder, says: [tower + "/config.json"])
            try FileManager.default.removeItem(atPath: tower)
            expectRefusal(of: folder, says: ["\"vision_tower\" is not on this machine", tower])
        }
    }

    @Test("NaN and infinities are found by name, in the model and in its tower")
    func nonFinite() throws {
        try withNano { folder in
            for (file, bits) in [("model.safetensors", 0x7fc0), ("vision_tower/model.safetensors", 0xff80)] {
                let handle = try FileHandle(forUpdating: URL(filePath: "\(folder)/\(file)"))
                try handle.seek(toOffset: handle.seekToEnd() - 2)
                try handle.write(contentsOf: [UInt8(bits & 0xff), UInt8(bits >> 8)])
                try handle.close()
            }
            let checkpoint = try CheckpointFolder(path: folder, environment: [:])
            var last: (Int64, Int64) = (0, 0)
            let found = try checkpoint.scanNonFinite { last = ($0, $1) }
            #expect(found.map(\.name) == ["model.compressor.ln_kv.bias", "vision_model.post_layernorm.bias"])
            #expect(found.map(\.count) == [NonFiniteCount(nan: 1), NonFiniteCount(infinite: 1)])
            #expect(last.0 == last.1 && last.1 == RandomCheckpoint.plannedBytes(.nano, type: .bf16))
        }
    }
}
