internal import Tensors

/// A LoRA adapter in a folder of its own: changes to a base model's weights, merged when a weight is used.
///
/// Source: PEFT's adapter_config.json and adapter_model.*, and LLaVA's non_lora_trainables.bin (its `builder.py`).
public struct LoraAdapter: Sendable {
    /// The base model's folder.
    public let base: String
    /// The adapter's files and their names in the folder.
    let files: [(name: String, file: any WeightsFile)]
    /// The contents of adapter_config.json.
    let configBytes: [UInt8]
    private let folder: String
    private let config: LoraConfig
    /// The two factors of each adapted weight, by the weight's name.
    private let factors: [String: Factors]
    /// Tensors that replace or complete the base model's, by name.
    private let replacements: [String: StoredTensor]

    private struct Factors {
        var down: StoredTensor?
        var up: StoredTensor?
        /// The layer's name, for its scale.
        let module: String
        let isEmbedding: Bool
    }

    private static let weightNames = WeightsFormat.allCases.map { "adapter_model" + $0.suffix }
    private static let trainablesName = "non_lora_trainables.bin"

    /// The base model of the adapter in `folder`; nil if there is no adapter, or weights of its own beside it.
    ///
    /// - Parameter environment: locates the Hugging Face hub cache.
    /// - Throws: `CheckpointError` for an adapter that cannot be used, or whose base model is not on this machine.
    package static func base(of folder: String, environment: [String: String]) throws -> String? {
        try open(folder, environment: environment)?.base
    }

    /// Opens the adapter in `folder`; nil if there is none, or weights of its own beside it.
    init?(folder: String, environment: [String: String]) throws {
        guard let (config, base, bytes) = try Self.open(folder, environment: environment) else { return nil }
        configBytes = bytes
        var files: [(name: String, file: any WeightsFile)] = []
        for (format, name) in zip(WeightsFormat.allCases, Self.weightNames) where files.isEmpty {
            if let path = try FolderPath.resolve(name, in: folder) { files.append((name, try format.open(path: path))) }
        }
        guard let own = files.first?.file else {
            throw CheckpointError(
                .unsupported,
                "\(folder): a LoRA adapter without \(Self.weightNames.joined(separator: " or ")): fetch it again")
        }
        var factors: [String: Factors] = [:]
        var replacements: [String: StoredTensor] = [:]
        for (name, tensor) in own.tensors {
            try Self.add(tensor, named: name, in: folder, to: &factors, &replacements)
        }
        if let path = try FolderPath.resolve(Self.trainablesName, in: folder) {
            let file = try WeightsFormat.pytorch.open(path: path)
            files.append((Self.trainablesName, file))
            for (name, tensor) in Self.trainables(file.tensors) { replacements[name] = tensor.renamed(name) }
        }
        self.folder = folder
        self.config = config
        self.base = base
        self.files = files
        self.factors = factors
        self.replacements = replacements
    }

    /// Sorts one tensor of the adapter's file by its name.
    private static func add(
        _ tensor: StoredTensor, named name: String, in folder: String, to factors: inout [String: Factors],
        _ replacements: inout [String: StoredTensor]
    ) throws {
        let prefix = "base_model.model."
        guard name.hasPrefix(prefix) else {
            throw CheckpointError.tensors(
                .tensorUnexpected, folder, "does not begin with \(prefix)", "do not begin with \(prefix)", [name])
        }
        var parts = name.dropFirst(prefix.count).split(separator: ".").map(String.init)
        // Older versions keep the adapter's name.
        parts.removeAll { $0 == "default" || $0 == "modules_to_save" || $0 == "base_layer" }
        let kinds = ["lora_A": true, "lora_B": false, "lora_embedding_A": true, "lora_embedding_B": false]
        guard let place = parts.firstIndex(where: { kinds[$0] != nil }), let isDown = kinds[parts[place]] else {
            guard !parts.contains(where: { $0.hasPrefix("lora_") }) else {
                throw CheckpointError.tensors(
                    .tensorUnexpected, folder, "is not supported", "are not supported", [name])
            }
            let plain = parts.joined(separator: ".")
            replacements[plain] = tensor.renamed(plain)
            return
        }
        let module = parts[..<place].joined(separator: ".")
        var found =
            factors[module + ".weight"] ?? Factors(module: module, isEmbedding: parts[place].contains("embedding"))
        if isDown { found.down = tensor } else { found.up = tensor }
        factors[module + ".weight"] = found
    }

    /// The names of non_lora_trainables.bin without the prefixes of the training, as LLaVA strips them.
    private static func trainables(_ tensors: [String: StoredTensor]) -> [(String, StoredTensor)] {
        let wrapper = "base_model."
        let inner = "model."
        var members = tensors.map { name, tensor in
            (name.hasPrefix(wrapper) ? String(name.dropFirst(wrapper.count)) : name, tensor)
        }
        if members.contains(where: { $0.0.hasPrefix(inner + inner) }) {
            members = members.map { ($0.0.hasPrefix(inner) ? String($0.0.dropFirst(inner.count)) : $0.0, $0.1) }
        }
        return members
    }

    private static func open(
        _ folder: String, environment: [String: String]
    ) throws -> (config: LoraConfig, base: String, bytes: [UInt8])? {
        for format in WeightsFormat.allCases {
            for name in [format.singleName, format.indexName] where try FolderPath.resolve(name, in: folder) != nil {
                return nil
            }
        }
        guard
            let bytes = try FolderPath.read(LoraConfig.name, in: folder, limit: CheckpointFolder.smallFileLimit)
        else { return nil }
        let config = try LoraConfig(ConfigReader(file: folder + "/" + LoraConfig.name, bytes: bytes))
        var tried: [String] = []
        if !config.base.utf8.contains(0), config.base.utf8.count <= 1024 {
            let path = config.base.hasPrefix("/") ? config.base : folder + "/" + config.base
            if FolderPath.isFolder(path) { return (config, path, bytes) }
            tried.append(path)
            if TowerFolder.isHubID(config.base) {
                // Only the hub cache: a tower is also searched in a checkpoint's folder.
                let cached = try TowerFolder(
                    tower: config.base, checkpoint: "/nonexistent", environment: environment)
                if let path = cached.path { return (config, path, bytes) }
                tried += cached.tried.suffix(1)
            }
        }
        throw CheckpointError(
            TowerFolder.isHubID(config.base) ? .notDownloaded : .unsupported,
            "\(folder): a LoRA adapter of \"\(config.base)\", which is not on this machine (tried "
                + "\(tried.joined(separator: ", "))); fetch that model too, or give its folder as "
                + "base_model_name_or_path in \(LoraConfig.name)")
    }

    /// The weights of the base model with this adapter; what an update is computed from stays in its file.
    func apply(to tensors: [String: StoredTensor]) throws -> [String: StoredTensor] {
        var adapted = tensors.merging(replacements) { _, new in new }
        var missing: [String] = []
        for (name, factors) in factors.sorted(by: { $0.key < $1.key }) {
            guard let base = adapted[name] else {
                missing.append(name)
                continue
            }
            guard let down = factors.down, let up = factors.up else {
                throw CheckpointError.tensors(
                    .tensorMissing, folder, "has only one of lora_A and lora_B", "have only one of lora_A and lora_B",
                    [factors.module])
            }
            let (scale, rank) = config.scale(of: factors.module)
            guard down.shape.first == rank,
                let update = LowRankUpdate(
                    base: base, down: down, up: up, scale: scale,
                    isTransposed: factors.isEmbedding || config.isFanInFanOut)
            else {
                throw CheckpointError.tensors(
                    .tensorShape, folder, "does not fit the base model", "do not fit the base model",
                    [
                        "\(name) is \(base.shape) in \(base.type.safetensorsName), its adapter \(up.shape) × "
                            + "\(down.shape) of rank \(rank)"
                    ])
            }
            adapted[name] = update.merged
        }
        guard missing.isEmpty else {
            throw CheckpointError.tensors(
                .tensorMissing, folder, "of its adapter is not in the base model",
                "of its adapter are not in the base model",
                missing)
        }
        return adapted
    }
}
