internal import Checkpoints

/// The files of a model folder that loading it reads, chosen from all that a hub has.
enum ModelFiles {
    /// Everything but weights, in a model's folder or its vision tower's.
    static let small = [
        "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
        "merges.txt",
    ]

    /// Files of weights, in the order of preference: a file, or an index that names the files.
    static let weights = [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
    ]

    /// A LoRA adapter and what LLaVA stores beside it.
    static let adapter = ["adapter_config.json", "non_lora_trainables.bin"]
    static let adapterWeights = ["adapter_model.safetensors", "adapter_model.bin"]

    /// True if a model of these files is a LoRA adapter, whose weights are those of another model.
    static func isAdapter(_ paths: Set<String>) -> Bool {
        paths.contains(adapter[0]) && !weights.contains(where: paths.contains)
    }

    /// The base model that the adapter_config.json of a LoRA adapter names.
    static func base(config: [UInt8]) -> Tower {
        guard let value = try? JSONValue(parsing: config), let base = value["base_model_name_or_path"]?.stringValue
        else { return .none }
        guard TowerFolder.isHubID(base), let name = try? HubName(base) else { return .elsewhere(base) }
        return .repository(name)
    }

    /// The files to download apart from the shards that an index names; `folder` is "" or ends in a slash.
    ///
    /// - Returns: the paths, and that of the index if weights are in shards.
    static func wanted(in folder: String, of paths: Set<String>) -> (paths: [String], index: String?) {
        func present(_ names: [String]) -> [String] { names.map { folder + $0 }.filter(paths.contains) }
        var wanted = present(small)
        let weights = present(weights).first
        if let weights { wanted.append(weights) }
        if paths.contains(folder + "adapter_config.json") {
            wanted += present(adapter)
            wanted += present(adapterWeights).prefix(1)
        }
        return (wanted, weights.flatMap { $0.hasSuffix(".index.json") ? $0 : nil })
    }

    /// The files that a loader looks for and this model lacks.
    static func absent(in folder: String, of paths: Set<String>) -> [String] {
        (small + weights + ["adapter_config.json"]).map { folder + $0 }.filter { !paths.contains($0) }
    }

    /// The files that an index of weights names.
    static func shards(_ index: [UInt8]) -> [String]? {
        let limits = JSONReader.Limits(bytes: 32 << 20, values: 1_000_000, depth: 32)
        guard let map = (try? JSONValue(parsing: index, limits: limits))?["weight_map"]?.objectValue else { return nil }
        let names = Set(map.values.compactMap(\.stringValue))
        guard names.allSatisfy({ FolderPath.refusal(of: $0) == nil }) else { return nil }
        return names.sorted()
    }

    /// Where a model's vision tower is.
    enum Tower: Equatable {
        case none
        /// A folder of the model, with a slash at its end.
        case folder(String)
        case repository(HubName)
        /// A path on the machine where the model was trained.
        case elsewhere(String)
    }

    /// Reads `mm_vision_tower` of a config.json; `paths` are the model's files.
    static func tower(config: [UInt8], paths: Set<String>) -> Tower {
        guard let value = try? JSONValue(parsing: config), let tower = value["mm_vision_tower"]?.stringValue else {
            return .none
        }
        for folder in [tower, "vision_tower"] where paths.contains(folder + "/config.json") {
            return .folder(folder + "/")
        }
        guard TowerFolder.isHubID(tower), let name = try? HubName(tower) else { return .elsewhere(tower) }
        return .repository(name)
    }
}
