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

    /// Elements of a frame's embedding; nil unless the vision tower belongs to a complete CLIP checkpoint.
    ///
    /// A tower inside the checkpoint was fine-tuned, so its last layer no longer matches the projection.
    public var embeddingSize: Int? {
        guard fusion != nil, towerSource == .folder, let vision, let size = vision.projectionSize,
            let tower = towerWeights?.tensors,
            TensorCatalog.hasTextTower(tower)
        else { return nil }
        let isWhole = TensorCatalog.vision(vision).allSatisfy { wanted in
            guard let found = tower[wanted.name] else { return false }
            if tower.weightFormat(of: wanted.name) != nil {
                return Self.quantizationFault(of: wanted, in: tower, quantization: towerQuantization) == nil
            }
            return found.shape == wanted.shape && found.type.isFloatingPoint16To32
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
        try Self.compare(main, with: weights.tensors, quantization: quantization, folder: path)
        let isInside = towerSource == .insideCheckpoint
        try Self.compare(
            tower, with: towerTensors, quantization: isInside ? quantization : towerQuantization,
            folder: isInside ? path : towerPath)

        let known = Self.names(of: main, in: weights.tensors)
        let knownInTower = Self.names(of: tower, in: towerTensors)
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

    /// The names of the expected tensors, and of the scales and minima of those that are quantized.
    private static func names(of expected: [ExpectedTensor], in stored: [String: StoredTensor]) -> Set<String> {
        var names = Set(expected.map(\.name))
        for tensor in expected {
            guard let format = stored.weightFormat(of: tensor.name) else { continue }
            names.insert(TensorName.scale(of: tensor.name))
            if format.minimaShape(tensor.shape) != nil { names.insert(TensorName.minimum(of: tensor.name)) }
        }
        return names
    }

    private static func compare(
        _ expected: [ExpectedTensor], with stored: [String: StoredTensor], quantization: QuantizationConfig?,
        folder: String
    ) throws {
        var missing: [String] = []
        var shapes: [String] = []
        var types: [String] = []
        var scaleTypes: [String] = []
        var minima: [String] = []
        for tensor in expected {
            guard let found = stored[tensor.name] else {
                if !tensor.isOptional { missing.append(tensor.name) }
                continue
            }
            if stored.weightFormat(of: tensor.name) != nil, quantization?.format(of: tensor.part) != nil,
                tensor.isQuantizable
            {
                switch quantizationFault(of: tensor, in: stored, quantization: quantization) {
                case .missing(let name): missing.append(name)
                case .missingMinimum(let name): minima.append(name)
                case .shape(let text): shapes.append(text)
                case .type(let text): types.append(text)
                case .scaleType(let text): scaleTypes.append(text)
                case nil: break
                }
                continue
            }
            // Some writers store a scalar with rank 0, others as one element.
            if found.shape != tensor.shape, !(tensor.shape.isEmpty && found.shape == [1]) {
                shapes.append("\(tensor.name) is \(found.shape), the configuration says \(tensor.shape)")
            }
            if !found.type.isFloatingPoint16To32 {
                types.append("\(tensor.name) is \(found.type.safetensorsName)")
            }
        }
        if !missing.isEmpty {
            throw CheckpointError.tensors(.tensorMissing, folder, "is missing", "are missing", missing)
        }
        if !minima.isEmpty { throw CheckpointError.withoutMinima(folder, minima) }
        if !shapes.isEmpty {
            throw CheckpointError.tensors(.tensorShape, folder, "has a wrong shape", "have a wrong shape", shapes)
        }
        if !scaleTypes.isEmpty {
            throw CheckpointError.tensors(.tensorType, folder, "has a wrong type", "have a wrong type", scaleTypes)
        }
        if !types.isEmpty {
            throw CheckpointError.tensors(
                .tensorType, folder, "is not stored as F32, F16 or BF16", "are not stored as F32, F16 or BF16", types)
        }
    }

    private enum QuantizationFault {
        case missing(String)
        case missingMinimum(String)
        case shape(String)
        case type(String)
        case scaleType(String)
    }

    /// The first fault of a matrix that is stored as I8 or U8; nil if its values and scales can be used.
    private static func quantizationFault(
        of tensor: ExpectedTensor, in stored: [String: StoredTensor], quantization: QuantizationConfig?
    ) -> QuantizationFault? {
        guard let format = stored.weightFormat(of: tensor.name), tensor.isQuantizable,
            let allowed = quantization?.format(of: tensor.part), format.isInt8 || allowed == .int4
        else { return .type("\(tensor.name) is \(stored[tensor.name]?.type.safetensorsName ?? "missing")") }
        let types = format.storedTypes
        var parts = [
            (tensor.name, types.values, format.valuesShape(tensor.shape)),
            (TensorName.scale(of: tensor.name), types.scales, format.scalesShape(tensor.shape)),
        ]
        if let shape = format.minimaShape(tensor.shape) {
            parts.append((TensorName.minimum(of: tensor.name), types.scales, shape))
        }
        for (name, type, shape) in parts {
            guard let found = stored[name] else {
                return name == TensorName.minimum(of: tensor.name) ? .missingMinimum(name) : .missing(name)
            }
            guard found.shape == shape else {
                return .shape(
                    "\(name) is \(found.shape), \(format.name) weights of the configuration need \(shape)")
            }
            guard found.type == type else {
                return .scaleType("\(name) is \(found.type.safetensorsName), not \(type.safetensorsName)")
            }
        }
        return nil
    }
}
