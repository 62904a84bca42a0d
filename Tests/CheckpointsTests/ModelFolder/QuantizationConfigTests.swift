import Checkpoints
import Foundation
import Longtake
import Tensors
import Testing

/// A quantized nano checkpoint that a test may damage.
func withQuantizedNano(
    vision: WeightFormat? = .int8, language: WeightFormat? = .int8, _ body: (String) throws -> Void
) throws {
    try withNano { source in
        let path = source + "-quantized"
        _ = try ModelQuantizer(path: source, vision: vision, language: language, threads: 2).write(to: path)
        try body(path)
    }
}

/// Writes a safetensors file again, each tensor as `edit` returns it; nil leaves it out.
private func rewrite(
    _ path: String, _ edit: (StoredTensor) -> (type: DType, shape: [Int], bytes: [UInt8])?
) throws {
    let tensors = try SafetensorsFile(path: path)
    let kept = tensors.names.compactMap { name in
        tensors.tensors[name].flatMap { tensor in edit(tensor).map { (name, $0) } }
    }
    let entries = kept.map { SafetensorsWriter.Entry(name: $0.0, type: $0.1.type, shape: $0.1.shape) }
    let writer = try SafetensorsWriter(path: path + ".new", entries: entries)
    for (_, tensor) in kept { try tensor.bytes.withUnsafeBytes { try writer.write($0) } }
    try writer.finish()
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: path + ".new", toPath: path)
}

@Suite struct QuantizationConfigTests {
    @Test func `a quantized folder is accepted, its tower alone too`() throws {
        try withQuantizedNano(language: .int4) { path in
            let checkpoint = try CheckpointFolder(path: path, environment: [:])
            try checkpoint.validate()
            #expect(checkpoint.quantization == QuantizationConfig(vision: .int8, language: .int4))
            #expect(checkpoint.towerQuantization == QuantizationConfig(vision: .int8, language: nil))
            #expect(checkpoint.isQuantized)
            let counts = checkpoint.quantizedCounts
            #expect(counts[.int4] == 29 && (counts[.int8] ?? 0) > 30)
            // Everything that is not the weight of a large product is as it was.
            for name in ["model.embed_tokens.weight", "model.norm.weight", "model.compressor.attn.in_proj_weight"] {
                #expect(checkpoint.weights.tensors[name]?.type == .bf16)
            }
            let tower = try CheckpointFolder(path: path + "/vision_tower", environment: [:])
            try tower.validate()
            #expect(tower.isQuantized)
        }
    }

    @Test(arguments: ["gptq", "awq", "bitsandbytes", "fp8"])
    func `weights that another program quantized are refused by name`(method: String) throws {
        try withNano { path in
            try editConfig(of: path) { $0["quantization_config"] = ["quant_method": method, "bits": 4] }
            expectRefusal(of: path, says: ["config.json", "quantized by \"\(method)\"", "fetch the model in 16 bits"])
        }
        try withNano { path in
            try editConfig(of: path + "/vision_tower") { $0["quantization_config"] = ["quant_method": method] }
            expectRefusal(of: path, says: ["vision_tower/config.json", "quantized by \"\(method)\""])
        }
    }

    @Test func `a configuration that does not say how is refused`() throws {
        for (edit, said) in [
            (["bits": 4], "an unnamed method"),
            (["quant_method": "longtake", "vision": "int4"], "vision is \"int4\""),
            (["quant_method": "longtake", "language": "int2"], "language is \"int2\""),
            (["quant_method": "longtake", "language": "int8", "group_size": 64], "group_size is 64"),
            (["quant_method": "longtake", "kept": [1]], "kept must be a list of tensor names"),
        ] as [([String: Any], String)] {
            try withNano { path in
                try editConfig(of: path) { $0["quantization_config"] = edit }
                expectRefusal(of: path, says: [said])
            }
        }
    }

    @Test func `integer weights need a configuration that says so`() throws {
        try withQuantizedNano { path in
            try editConfig(of: path) { $0["quantization_config"] = nil }
            expectRefusal(of: path, says: ["are not stored as F32, F16 or BF16", "is I8"])
        }
        try withQuantizedNano(language: .int4) { path in
            try editConfig(of: path) {
                $0["quantization_config"] = ["quant_method": "longtake", "vision": "int8", "language": "int8"]
            }
            expectRefusal(of: path, says: ["are not stored as F32, F16 or BF16", "is U8"])
        }
    }

    @Test func `scales that are missing or of another shape or type are refused`() throws {
        let scale = "model.layers.2.mlp.up_proj.weight_scale"
        let tower = "vision_model.encoder.layers.1.mlp.fc1.weight_scale"
        for (file, name) in [("", scale), ("vision_tower/", tower)] {
            let cases: [((StoredTensor) -> (type: DType, shape: [Int], bytes: [UInt8])?, String)] = [
                ({ _ in nil }, "is missing: \(name)"),
                ({ (.f32, [$0.count / 2], Array($0.bytes.prefix($0.bytes.count / 2))) }, "has a wrong shape: \(name)"),
                ({ (.f16, $0.shape, Array($0.bytes.prefix($0.bytes.count / 2))) }, "\(name) is F16, not F32"),
            ]
            for (edit, said) in cases {
                try withQuantizedNano { path in
                    try rewrite("\(path)/\(file)model.safetensors") {
                        $0.name == name ? edit($0) : ($0.type, $0.shape, Array($0.bytes))
                    }
                    expectRefusal(of: path, says: [said])
                }
            }
        }
    }

    @Test func `minima that are missing or of another shape or type are refused`() throws {
        let name = "model.layers.2.mlp.up_proj.weight_min"
        let cases: [((StoredTensor) -> (type: DType, shape: [Int], bytes: [UInt8])?, String)] = [
            ({ _ in nil }, "is missing: \(name); 4-bit weights need a minimum per group"),
            ({ (.bf16, [$0.shape[0], 1], Array($0.bytes.prefix($0.shape[0] * 2))) }, "has a wrong shape: \(name)"),
            ({ (.f16, $0.shape, Array($0.bytes)) }, "\(name) is F16, not BF16"),
        ]
        for (edit, said) in cases {
            try withQuantizedNano(language: .int4) { path in
                try rewrite(path + "/model.safetensors") {
                    $0.name == name ? edit($0) : ($0.type, $0.shape, Array($0.bytes))
                }
                expectRefusal(of: path, says: [said])
            }
        }
        try withQuantizedNano(language: .int4) { path in
            try rewrite(path + "/model.safetensors") {
                $0.name.hasSuffix(".weight_min") ? nil : ($0.type, $0.shape, Array($0.bytes))
            }
            expectRefusal(of: path, says: ["29 tensors are missing", "quantize the folder they were made from again"])
        }
    }

    @Test func `values of another shape, and a file that is cut off, are refused`() throws {
        let name = "model.layers.0.self_attn.q_proj.weight"
        try withQuantizedNano { path in
            try rewrite(path + "/model.safetensors") {
                $0.name == name
                    ? (.i8, [$0.shape[0], $0.shape[1] / 2], Array($0.bytes.prefix($0.bytes.count / 2)))
                    : ($0.type, $0.shape, Array($0.bytes))
            }
            expectRefusal(of: path, says: ["has a wrong shape: \(name) is [192, 96]", "need [192, 192]"])
        }
        try withQuantizedNano { path in
            let file = try FileHandle(forWritingTo: URL(filePath: path + "/model.safetensors"))
            try file.truncate(atOffset: try file.seekToEnd() - 10)
            try file.close()
            expectRefusal(of: path, says: ["the download is incomplete"])
        }
    }

    @Test func `the memory for quantized weights is counted as stored`() throws {
        try withNano { source in
            let path = source + "-quantized"
            _ = try ModelQuantizer(path: source, vision: .int8, language: .int8, threads: 1).write(to: path)
            let whole = try CheckpointFolder(path: source, environment: [:])
            let quantized = try CheckpointFolder(path: path, environment: [:])
            let bytes = quantized.loadBytes(as: .bf16, quantizing: [:])
            #expect(bytes == whole.loadBytes(as: .bf16, quantizing: whole.int8Matrices))
            #expect(bytes < ModelCost(whole).loadBytes.bf16 * 6 / 10)
            #expect(whole.loadBytes(as: .bf16, quantizing: [:]) == ModelCost(whole).loadBytes.bf16)
            #expect(whole.loadBytes(as: .f32, quantizing: [:]) == ModelCost(whole).loadBytes.f32)
            #expect(quantized.int8Matrices.isEmpty)
        }
    }
}
