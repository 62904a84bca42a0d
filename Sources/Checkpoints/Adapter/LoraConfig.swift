internal import Tensors

/// `adapter_config.json` of a LoRA adapter, as PEFT writes it.
struct LoraConfig {
    /// The base model: a folder, or a name on a model hub.
    let base: String
    private let rank: Int
    private let alpha: Double
    private let ranks: [String: Double]
    private let alphas: [String: Double]
    private let usesRootOfRank: Bool
    /// True if the adapted layers store their weights as [in, out].
    let isFanInFanOut: Bool

    static let name = "adapter_config.json"

    /// Validates the file's values; throws `CheckpointError`.
    init(_ config: ConfigReader) throws {
        let type = try config.string("peft_type")
        guard type == "LORA" else {
            throw CheckpointError.unsupported(config.file, "peft_type", "\"\(type ?? "")\"", "LORA")
        }
        // Each of these computes something else than W + scale · B·A.
        for key in ["use_dora", "lora_bias", "use_qalora", "use_bdlora"] {
            if let value = config.value(key), !value.isNull, value.boolValue != false {
                throw CheckpointError.unsupported(config.file, key, "set", "an adapter without it")
            }
        }
        for key in ["layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens"] {
            guard let value = config.value(key), !value.isNull, value.arrayValue?.isEmpty != true else { continue }
            throw CheckpointError.unsupported(config.file, key, "set", "an adapter without it")
        }
        // These change the base model's weights as well.
        if let start = config.value("init_lora_weights")?.stringValue,
            ["pissa", "olora", "loftq", "corda", "lora_ga"].contains(where: start.lowercased().hasPrefix)
        {
            throw CheckpointError.unsupported(
                config.file, "init_lora_weights", "\"\(start)\"", "an adapter that PEFT converted to plain LoRA")
        }
        guard let base = try config.string("base_model_name_or_path"), !base.isEmpty else {
            throw CheckpointError.keyMissing(config.file, "base_model_name_or_path")
        }
        self.base = base
        rank = try config.integer("r", in: 1...65_536)
        alpha = try config.double("lora_alpha", in: 0...1e6)
        usesRootOfRank = try config.flag("use_rslora")
        isFanInFanOut = try config.flag("fan_in_fan_out")
        ranks = try Self.pattern(config, "rank_pattern")
        alphas = try Self.pattern(config, "alpha_pattern")
    }

    /// The factor of B·A for the module, and its rank.
    func scale(of module: String) -> (factor: Float, rank: Int) {
        let rank = Self.value(ranks, module).map { Int(saturating: $0) } ?? rank
        let alpha = Self.value(alphas, module) ?? alpha
        let divisor = usesRootOfRank ? Double(rank).squareRoot() : Double(rank)
        return (Float(alpha / divisor), rank)
    }

    /// Values of single modules, by the end of their names. PEFT allows regular expressions, which are refused.
    private static func pattern(_ config: ConfigReader, _ key: String) throws -> [String: Double] {
        try (config.object(key)?.members ?? [:]).reduce(into: [:]) { values, member in
            guard member.key.utf8.allSatisfy({ $0 >= 0x2d && $0 <= 0x7a && !"/:;<=>?@[\\]^`".utf8.contains($0) }) else {
                throw CheckpointError.unsupported(
                    config.file, key, "\"\(member.key)\"", "names of modules without regular expressions")
            }
            guard let value = member.value.doubleValue, (0...1e6).contains(value) else {
                throw CheckpointError.keyType(config.file, "\(key): \(member.key)", "a number")
            }
            values[member.key] = value
        }
    }

    private static func value(_ pattern: [String: Double], _ module: String) -> Double? {
        pattern.sorted { $0.key < $1.key }.first { module == $0.key || module.hasSuffix("." + $0.key) }?.value
    }
}
