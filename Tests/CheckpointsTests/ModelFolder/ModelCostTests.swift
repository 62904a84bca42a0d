import Checkpoints
import Foundation
import Longtake
import Models
import Tensors
import Testing

/// A model's identity and its cost.
@Suite("Model cost") struct ModelCostTests {
    @Test("the identity changes with a weight at a tensor's beginning and with the configuration, not with the place")
    func identity() throws {
        try withNano { folder in
            func identity(_ folder: String) throws -> [UInt8] {
                var bytes: [UInt8] = []
                try CheckpointFolder(path: folder, environment: [:]).identityBytes { bytes += $0 }
                return bytes
            }
            let first = try identity(folder)
            #expect(try identity(folder) == first)
            #expect(first.count < 16 << 20)
            try withNano { other in
                let moved = try identity(other)
                #expect(moved == first)
            }

            // One byte at the middle of the first KiB of a tensor in the middle of the file.
            for (file, name) in [
                ("model.safetensors", "model.layers.2.mlp.up_proj.weight"),
                ("vision_tower/model.safetensors", "vision_model.encoder.layers.1.mlp.fc1.weight"),
            ] {
                let checkpoint = try CheckpointFolder(path: folder, environment: [:])
                let tensors = checkpoint.weights.tensors.merging(checkpoint.towerTensors) { old, _ in old }
                let bytes = try Data(#require(tensors[name]).bytes.prefix(1024))
                let url = URL(filePath: "\(folder)/\(file)")
                let whole = try Data(contentsOf: url)
                let place = try #require(whole.range(of: bytes)).lowerBound + 512
                var changed = whole
                changed[place] ^= 1
                try changed.write(to: url)
                #expect(try identity(folder) != first, "\(name)")
                try whole.write(to: url)
                #expect(try identity(folder) == first)
            }
            for (file, key) in [
                ("config.json", "rope_theta"), ("vision_tower/config.json", "layer_norm_eps"),
                ("vision_tower/preprocessor_config.json", "resample"),
            ] {
                let whole = try Data(contentsOf: URL(filePath: "\(folder)/\(file)"))
                try editConfig(of: folder, file: file) { $0[key] = 0.05 * (key == "rope_theta" ? 1e6 : 1) }
                #expect(try identity(folder) != first, "\(key)")
                try whole.write(to: URL(filePath: "\(folder)/\(file)"))
            }
            try Data("{}".utf8).write(to: URL(filePath: folder + "/special_tokens_map.json"))
            #expect(try identity(folder) == first)
        }
    }

    @Test("llava-mini-8b costs what the paper's model costs")
    func fullSize() throws {
        let cost = RandomCheckpoint.cost(of: .llavaMini8B, type: .bf16)
        let frame = try #require(cost.frame)
        #expect(abs(frame.total / 1.24e12 - 1) < 0.03, "\(frame)")
        let record = try #require(cost.frameRecordBytes)
        #expect(abs(Double(record) / 600_000 - 1) < 0.02, "\(record)")
        #expect(Int64(cost.bytes) == RandomCheckpoint.plannedBytes(.llavaMini8B, type: .bf16))
        #expect(cost.keyValueBytesPerToken == 131_072)
        #expect(cost.parts.map(\.part) == [.language, .prefusion, .compressor, .projector, .vision])
        #expect(cost.loadBytes.f32 > cost.loadBytes.bf16 && cost.loadBytes.bf16 > cost.loadBytes.int8)
        #expect(cost.loadBytes.int8 > cost.loadBytes.int4 && cost.loadBytes.int4 > 4_000_000_000)
    }

    @Test("a checkpoint on disk costs what its shape costs")
    func nano() throws {
        try withNano { folder in
            let stored = ModelCost(try CheckpointFolder(path: folder, environment: [:]))
            #expect(stored == RandomCheckpoint.cost(of: .nano, type: .bf16))
            let text = String(decoding: try JSONEncoder().encode(stored), as: UTF8.self)
            #expect(text.contains("\"kv_bytes_per_token\":1024"))
        }
    }
}
