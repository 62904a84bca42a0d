public import Tensors

extension CheckpointFolder {
    /// True if some of the weights are quantized.
    public var isQuantized: Bool {
        [quantization, towerQuantization].contains { $0?.vision != nil || $0?.language != nil }
    }

    /// Number of matrices stored in each format; empty if none is quantized.
    public var quantizedCounts: [WeightFormat: Int] {
        let tower = towerTensors
        return expectedTensors.reduce(into: [:]) { counts, tensor in
            guard tensor.isQuantizable,
                let format = weights.tensors.weightFormat(of: tensor.name) ?? tower.weightFormat(of: tensor.name)
            else { return }
            counts[format, default: 0] += 1
        }
    }

    /// The matrices to quantize in memory so that this folder computes as its int8 copy would, by name.
    ///
    /// Empty if the folder is quantized: its own formats are used.
    public var int8Matrices: [String: WeightFormat] {
        guard !isQuantized else { return [:] }
        let names = expectedTensors.filter(\.isQuantizable).map { ($0.name, $0.format(in: .int8)) }
        return Dictionary(names) { first, _ in first }
    }

    /// Bytes of memory for the weights; the embedding table stays in the mapping and is not counted.
    ///
    /// - Parameters:
    ///   - type: the type of matrices that are not quantized.
    ///   - quantized: the matrices that are quantized in memory.
    ///   - withLanguage: false: without the language model.
    public func loadBytes(
        as type: DType, quantizing quantized: [String: WeightFormat], withLanguage: Bool = true
    ) -> Int64 {
        let tower = towerTensors
        return expectedTensors.reduce(0) { sum, tensor in
            guard !tensor.isOptional, tensor.name != TensorName.tokenEmbeddings,
                withLanguage || tensor.part != .language
            else { return sum }
            let stored = weights.tensors.weightFormat(of: tensor.name) ?? tower.weightFormat(of: tensor.name)
            if tensor.isQuantizable, let format = quantized[tensor.name] ?? stored {
                return sum + Int64(format.storedBytes(tensor.shape))
            }
            return sum + Int64(tensor.count * (tensor.shape.count < 2 ? DType.f32.size : type.size))
        }
    }
}
