import Tensors

/// The vision tower of a LLaVA-Mini or LLaVA-v1.5 checkpoint: its location, its shape, and which of two copies is used.
struct Tower {
    var vision: VisionConfig?
    var folder: String?
    var source: TowerSource?
    var weights: WeightsFolder?
    var configBytes: [UInt8]?
    var quantization: QuantizationConfig?
    var notes: [String] = []

    init() {}

    /// A tower of this shape whose tensors the checkpoint holds.
    init(insideCheckpoint vision: VisionConfig) {
        self.vision = vision
        source = .insideCheckpoint
    }

    /// Locates the tower as the reference does.
    ///
    /// The tower folder's tensors are used, unless `unfreeze_mm_vision_tower` is set and the checkpoint has its own.
    init(
        of config: ConfigReader, folder checkpoint: String, weights: WeightsFolder, environment: [String: String]
    ) throws {
        guard let name = try config.string("mm_vision_tower") ?? config.string("vision_tower") else {
            throw CheckpointError.keyMissing(config.file, "mm_vision_tower")
        }
        let unfrozen = try config.flag("unfreeze_mm_vision_tower")
        let inside = weights.tensors.keys.contains { $0.hasPrefix(TensorName.insideTower) }
        let found = try TowerFolder(tower: name, checkpoint: checkpoint, environment: environment)
        if let path = found.path {
            folder = path
            (vision, configBytes, quantization) = try Self.vision(of: path)
        } else if inside {
            vision = try Self.vision(fromShapesOf: weights, checkpoint: checkpoint)
            notes.append(
                "the vision tower's folder \(name) was not found; its shape is taken from the checkpoint's own tensors")
        } else {
            throw CheckpointError.towerMissing(checkpoint, tower: name, tried: found.tried)
        }
        if inside, unfrozen || folder == nil {
            source = .insideCheckpoint
        } else {
            source = .folder
            if inside {
                notes.append("the checkpoint's own copy of the vision tower is ignored, because the tower is frozen")
            }
            if unfrozen {
                notes.append(
                    "unfreeze_mm_vision_tower is set, but the checkpoint has no vision tower; the one in its folder is used"
                )
            }
            if let folder { self.weights = try WeightsFolder(path: folder) }
        }
    }

    /// Checks the tower against the compressor, the projector and the select layer.
    func check(_ config: ConfigReader, fusion: FusionConfig) throws {
        guard let vision else { return }
        guard fusion.compressorWidth == vision.hiddenSize else {
            throw CheckpointError.outOfRange(
                config.file, "compressor_embed_dim", "\(fusion.compressorWidth)",
                "the vision tower's hidden_size, \(vision.hiddenSize)")
        }
        let width = try config.integer("mm_hidden_size", in: 1...65_536, default: vision.hiddenSize)
        guard width == vision.hiddenSize else {
            throw CheckpointError.outOfRange(
                config.file, "mm_hidden_size", "\(width)", "the vision tower's hidden_size, \(vision.hiddenSize)")
        }
        guard -fusion.visionSelectLayer <= vision.layerCount + 1 else {
            throw CheckpointError.outOfRange(
                config.file, "mm_vision_select_layer", "\(fusion.visionSelectLayer)",
                "at least -\(vision.layerCount + 1), the tower has \(counted(vision.layerCount, "layer"))")
        }
    }

    private static func vision(of folder: String) throws -> (VisionConfig, [UInt8], QuantizationConfig?) {
        let file = folder + "/config.json"
        guard let bytes = try FolderPath.read("config.json", in: folder, limit: CheckpointFolder.smallFileLimit) else {
            throw CheckpointError.configMissing(file)
        }
        let config = try ConfigReader(file: file, bytes: bytes)
        let quantization = try QuantizationConfig(config)
        switch try config.string("model_type") {
        case "clip_vision_model": return (try VisionConfig(config, projectionSize: nil), bytes, quantization)
        case "clip": return (try CheckpointFolder.towers(config, kind: .clip).vision, bytes, quantization)
        case let type:
            throw CheckpointError.unsupported(file, "model_type", "\"\(type ?? "")\"", "clip or clip_vision_model")
        }
    }

    /// The tower's config from tensor shapes. They do not show the head count: CLIP's heads are 64 wide in every
    /// published size.
    private static func vision(fromShapesOf weights: WeightsFolder, checkpoint: String) throws -> VisionConfig {
        let base = TensorName.insideTower + TensorName.visionTower
        func shape(_ name: String, rank: Int) throws -> [Int] {
            let name = base + name
            guard let shape = weights.tensors[name]?.shape, shape.count == rank, shape.allSatisfy({ $0 > 0 }) else {
                throw CheckpointError.tensors(
                    .tensorMissing, checkpoint, "of the vision tower is missing", "of the vision tower are missing",
                    [name])
            }
            return shape
        }
        let patch = try shape("embeddings.patch_embedding.weight", rank: 4)
        let positions = try shape("embeddings.position_embedding.weight", rank: 2)
        let inner = try shape(TensorName.encoderLayer(0) + "mlp.fc1.weight", rank: 2)
        var layers = 0
        while weights.tensors[base + TensorName.encoderLayer(layers) + "layer_norm1.weight"] != nil {
            layers += 1
        }
        var grid = 1
        while grid < 4096, grid * grid < positions[0] - 1 { grid += 1 }
        let width = patch[0]
        let members: [String: JSONValue] = [
            "hidden_size": .integer(Int64(width)), "intermediate_size": .integer(Int64(inner[0])),
            "num_hidden_layers": .integer(Int64(layers)), "num_attention_heads": .integer(Int64(max(1, width / 64))),
            "patch_size": .integer(Int64(patch[2])),
            "image_size": .integer(Int64(min(patch[2], 4096) * grid)), "num_channels": .integer(Int64(patch[1])),
        ]
        return try VisionConfig(
            ConfigReader(file: checkpoint + ": the vision tower inside", members: members), projectionSize: nil)
    }
}
