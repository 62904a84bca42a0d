import Foundation
import Testing

/// Absurd configurations (fault M05): an error that names key, value and range.
@Suite struct ConfigParsingTests {
    struct Config: Sendable, CustomTestStringConvertible {
        let key: String
        let value: String  // JSON
        let says: [String]
        var file = "config.json"
        var testDescription: String { "\(file): \(key) \(value)" }
    }

    static let configs: [Config] = [
        Config(key: "num_hidden_layers", value: "1000000000", says: ["is 1000000000", "1 to 1024"]),
        Config(key: "num_hidden_layers", value: "0", says: ["is 0", "1 to 1024"]),
        Config(key: "num_hidden_layers", value: "-1", says: ["is -1", "1 to 1024"]),
        Config(key: "num_hidden_layers", value: "1e300", says: ["whole number"]),
        Config(key: "num_hidden_layers", value: "99999999999999999999", says: ["whole number"]),
        Config(key: "num_hidden_layers", value: "\"4\"", says: ["whole number"]),
        Config(key: "num_hidden_layers", value: "null", says: ["missing"]),
        Config(key: "num_attention_heads", value: "0", says: ["is 0", "1 to 1024"]),
        Config(key: "num_attention_heads", value: "5", says: ["is 5", "num_key_value_heads, 2"]),
        Config(key: "num_key_value_heads", value: "0", says: ["is 0", "1 to 1024"]),
        Config(key: "head_dim", value: "31", says: ["is 31", "rotary pair, 2"]),
        Config(key: "head_dim", value: "0", says: ["is 0", "1 to 4096"]),
        Config(key: "hidden_size", value: "9223372036854775807", says: ["is 9223372036854775807", "1 to 65536"]),
        Config(key: "intermediate_size", value: "1000000000000", says: ["is 1000000000000", "1 to 1048576"]),
        Config(key: "vocab_size", value: "0", says: ["is 0", "1 to 16777216"]),
        Config(key: "vocab_size", value: "857", says: ["model.embed_tokens.weight is [856, 192]", "[857, 192]"]),
        Config(key: "rms_norm_eps", value: "0", says: ["is 0", "1e-12"]),
        Config(key: "rms_norm_eps", value: "1e400", says: ["out of range"]),
        Config(key: "rms_norm_eps", value: "NaN", says: ["not valid JSON at byte"]),
        Config(key: "rope_theta", value: "-1", says: ["is -1", "1.0 to"]),
        Config(key: "rope_scaling", value: "{\"rope_type\":\"yarn\"}", says: ["\"yarn\"", "default and llama3"]),
        Config(key: "rope_scaling", value: "{\"rope_type\":\"llama3\"}", says: ["low_freq_factor is missing"]),
        Config(
            key: "rope_scaling",
            value:
                "{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4,\"original_max_position_embeddings\":8192}",
            says: ["high_freq_factor is 4.0", "above low_freq_factor, 4.0"]),
        Config(key: "max_position_embeddings", value: "0", says: ["is 0", "1 to 1073741824"]),
        Config(key: "compressor_size", value: "100", says: ["is 100", "1 to 32"]),
        Config(key: "compressor_size", value: "null", says: ["missing"]),
        Config(key: "compressor_embed_dim", value: "64", says: ["is 64", "hidden_size, 128"]),
        Config(key: "compressor_num_heads", value: "0", says: ["is 0", "1 to 1024"]),
        Config(key: "compressor_num_heads", value: "3", says: ["is 128", "compressor_num_heads, 3"]),
        Config(key: "prefusion_layer_num", value: "1000000000", says: ["is 1000000000", "1 to 64"]),
        Config(key: "prefusion_layer_num", value: "3", says: ["9 tensors are missing: model.prefusion_layers.2."]),
        Config(key: "resolution_ratio", value: "1000", says: ["is 1000", "1 to 8"]),
        Config(key: "mm_vision_select_layer", value: "-9", says: ["is -9", "at least -5", "4 layers"]),
        Config(key: "mm_vision_select_layer", value: "0", says: ["is 0", "-1024 to -1"]),
        Config(key: "mm_hidden_size", value: "1024", says: ["is 1024", "hidden_size, 128"]),
        Config(key: "mm_projector_type", value: "\"mlp99x_gelu\"", says: ["mlp99x_gelu", "mlp8x_gelu"]),
        Config(key: "mm_vision_tower", value: "\"\"", says: ["not a folder or a hub id"]),
        Config(key: "model_type", value: "\"gpt2\"", says: ["\"gpt2\"", "llava_mini_llama"]),
        Config(key: "eos_token_id", value: "-1", says: ["is -1", "0 to 16777215"], file: "generation_config.json"),
        Config(key: "temperature", value: "-1", says: ["is -1", "0.0 to 100.0"], file: "generation_config.json"),
        Config(
            key: "image_size", value: "1000000000", says: ["is 1000000000", "1 to 4096"],
            file: "vision_tower/config.json"),
        Config(key: "image_size", value: "90", says: ["is 90", "patch_size, 14"], file: "vision_tower/config.json"),
        Config(key: "patch_size", value: "0", says: ["is 0", "1 to 512"], file: "vision_tower/config.json"),
        Config(key: "num_attention_heads", value: "0", says: ["is 0", "1 to 1024"], file: "vision_tower/config.json"),
        Config(key: "num_channels", value: "4", says: ["not 3"], file: "vision_tower/config.json"),
        Config(
            key: "hidden_act", value: "\"gelu\"", says: ["\"gelu\"", "quick_gelu"], file: "vision_tower/config.json"),
    ]

    @Test("an absurd configuration is refused by key, value and range", arguments: configs)
    func config(_ config: Config) throws {
        try withNano { folder in
            let path = "\(folder)/\(config.file)"
            let text = try String(contentsOfFile: path, encoding: .utf8)
            // Values of our own files are one line each, but for lists and objects.
            let start = try #require(text.range(of: "\n \"\(config.key)\": "))
            let end = try #require(
                text[start.upperBound...].range(of: "\n \"") ?? text[start.upperBound...].range(of: "\n}"))
            let comma = text[end.lowerBound...].hasPrefix("\n}") ? "" : ","
            let changed = text[..<start.upperBound] + config.value + comma + text[end.lowerBound...]
            try Data(changed.utf8).write(to: URL(filePath: path))
            // A shape names the folder, a value its file and key.
            let isShape = config.says.contains { $0.hasPrefix("model.embed") || $0.contains("tensors") }
            let isJSON = config.says.contains { $0.contains("JSON") || $0.contains("out of range") }
            expectRefusal(
                of: folder, says: config.says + (isShape ? [folder] : isJSON ? [path] : [path, name(config)]))
        }
    }

    private func name(_ config: Config) -> String {
        config.key == "compressor_num_heads" && config.value == "3" ? "compressor_embed_dim" : config.key
    }

    @Test("a config that is no object, has a key twice, is deep or huge is refused")
    func configFiles() throws {
        try withNano { folder in
            let path = folder + "/config.json"
            for (text, says) in [
                ("", "byte 0"), ("[]", "not a JSON object"), ("{\"a\":1,\"a\":2}", "\"a\" appears twice"),
                (String(repeating: "{\"a\":", count: 100_000), "deeper than 32"),
                (String(repeating: " ", count: 8 << 20) + "{}", "8388610"), ("{\"a\":\"\u{1}\"}", "control character"),
            ] {
                try Data(text.utf8).write(to: URL(filePath: path))
                expectRefusal(of: folder, says: [path, says])
            }
            try FileManager.default.removeItem(atPath: path)
            expectRefusal(of: folder, says: [path, "no such file"])
        }
    }
}
