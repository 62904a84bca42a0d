public import Tensors

extension CheckpointFolder {
    /// The vision tower's tensors by their names in a CLIP folder (`vision_model.…`), wherever they are stored.
    ///
    /// Empty for Llama.
    public var towerTensors: [String: StoredTensor] {
        switch towerSource {
        case nil: return [:]
        case .folder:
            return (towerWeights ?? weights).tensors.filter {
                $0.key.hasPrefix(TensorName.visionTower) || $0.key == TensorName.visualProjection + "weight"
            }
        case .insideCheckpoint:
            let prefix = TensorName.insideTower
            var found: [String: StoredTensor] = [:]
            for (name, tensor) in weights.tensors where name.hasPrefix(prefix) {
                found[String(name.dropFirst(prefix.count))] = tensor
            }
            return found
        }
    }

    /// The tensors this checkpoint must have, in model order; tower tensors are named without the inside tower's
    /// prefix.
    public var expectedTensors: [ExpectedTensor] { expectedInCheckpoint + expectedInTower }

    /// Elements of a frame's embedding; nil unless a LLaVA-Mini's vision tower belongs to a complete CLIP checkpoint.
    ///
    /// A tower inside the checkpoint was fine-tuned, so its last layer no longer matches the projection.
    public var embeddingSize: Int? {
        guard kind == .llavaMini, towerSource == .folder, let vision, let size = vision.projectionSize,
            let tower = towerWeights?.tensors,
            TensorCatalog.hasTextTower(tower)
        else { return nil }
        let isWhole = TensorCatalog.vision(vision).allSatisfy { wanted in
            guard let found = tower[wanted.name], found.shape == wanted.shape else { return false }
            return found.type == .f32 || found.type == .f16 || found.type == .bf16
        }
        return isWhole ? size : nil
    }

    private var expectedInCheckpoint: [ExpectedTensor] {
        var list: [ExpectedTensor] = []
        if let language {
            list += fusion.map { TensorCatalog.llavaMini(language, $0) } ?? TensorCatalog.language(language)
        }
        if let textTower { list += TensorCatalog.text(textTower) }
        return list
    }

    private var expectedInTower: [ExpectedTensor] {
        guard let vision else { return [] }
        // LLaVA-Mini uses a hidden state and never the projection, even if the tower comes from a two-tower folder.
        var shape = vision
        if fusion != nil { shape.projectionSize = nil }
        return TensorCatalog.vision(shape, selectLayer: fusion?.visionSelectLayer)
    }

    /// Compares the stored tensors with the configuration; returns `notes` plus a note on unused tensors.
    ///
    /// Throws `tensor_missing`, `tensor_shape`, `tensor_type` or `tensor_unexpected`, each listing the first ten.
    @discardableResult
    public func validate() throws -> [String] {
        let main = expectedInCheckpoint, tower = expectedInTower
        let towerPath = towerFolder ?? path
        try Self.compare(main, with: weights.tensors, folder: path)
        try Self.compare(tower, with: towerTensors, folder: towerSource == .insideCheckpoint ? path : towerPath)

        let known = Set(main.map(\.name))
        let knownInTower = Set(tower.map(\.name))
        var unexpected: [String] = []
        var ignored: [String] = []
        for name in weights.tensors.keys.sorted() where !known.contains(name) {
            if kind == .clip || kind == .clipVision {
                if !knownInTower.contains(name), !name.hasSuffix(".position_ids") { ignored.append(name) }
            } else if name.hasPrefix(TensorName.insideTower) {
                continue
            } else if Self.mayBeIgnored(name)
                || (name == TensorName.outputEmbeddings && language?.tiedEmbeddings == true)
            {
                ignored.append(name)
            } else if name.hasPrefix("model.") || name.hasPrefix("lm_head") {
                unexpected.append(name)
            } else {
                ignored.append(name)
            }
        }
        guard unexpected.isEmpty else {
            throw CheckpointError.tensors(
                .tensorUnexpected, path, "is not in its configuration", "are not in its configuration", unexpected)
        }
        guard !ignored.isEmpty else { return notes }
        let shown = ignored.prefix(10).joined(separator: ", ")
        return notes + [
            "\(counted(ignored.count, "tensor is", "tensors are")) not used: \(shown)\(ignored.count > 10 ? " …" : "")"
        ]
    }

    /// Buffers that old transformers versions saved and every version recomputes.
    private static func mayBeIgnored(_ name: String) -> Bool {
        name.hasSuffix(".rotary_emb.inv_freq") || name.hasSuffix(".position_ids")
    }

    private static func compare(
        _ expected: [ExpectedTensor], with stored: [String: StoredTensor], folder: String
    ) throws {
        var missing: [String] = []
        var shapes: [String] = []
        var types: [String] = []
        for tensor in expected {
            guard let found = stored[tensor.name] else {
                if !tensor.isOptional { missing.append(tensor.name) }
                continue
            }
            // Some writers store a scalar with rank 0, others as one element.
            if found.shape != tensor.shape, !(tensor.shape.isEmpty && found.shape == [1]) {
                shapes.append("\(tensor.name) is \(found.shape), the configuration says \(tensor.shape)")
            }
            switch found.type {
            case .f32, .f16, .bf16: break
            default: types.append("\(tensor.name) is \(found.type.safetensorsName)")
            }
        }
        if !missing.isEmpty {
            throw CheckpointError.tensors(.tensorMissing, folder, "is missing", "are missing", missing)
        }
        if !shapes.isEmpty {
            throw CheckpointError.tensors(.tensorShape, folder, "has a wrong shape", "have a wrong shape", shapes)
        }
        if !types.isEmpty {
            throw CheckpointError.tensors(
                .tensorType, folder, "is not stored as F32, F16 or BF16", "are not stored as F32, F16 or BF16", types)
        }
    }
}
