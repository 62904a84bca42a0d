public import Tensors

/// Reads tensors from a checkpoint by name and checks their shapes against the configuration.
public struct WeightReader {
    let tensors: [String: StoredTensor]
    let prefix: String
    let compute: Compute

    /// A reader of `tensors` for models that compute with `compute`.
    ///
    /// - Parameter prefix: prepended to every name.
    public init(_ tensors: [String: StoredTensor], prefix: String = "", compute: Compute) {
        self.tensors = tensors
        self.prefix = prefix
        self.compute = compute
    }

    /// A reader for the names below `name`.
    func under(_ name: String) -> WeightReader {
        WeightReader(tensors, prefix: prefix + name, compute: compute)
    }

    /// True if the checkpoint has the tensor.
    func has(_ name: String) -> Bool { tensors[prefix + name] != nil }

    private func tensor(_ name: String, _ shape: [Int]) throws -> StoredTensor {
        guard let tensor = tensors[prefix + name] else { throw ModelError.missing(prefix + name) }
        guard tensor.shape == shape else {
            throw ModelError.shape(prefix + name, tensor.shape, wanted: shape)
        }
        return tensor
    }

    /// The tensor as a matrix of `type` (nil: the compute precision); throws `ModelError` if it is missing or has
    /// another shape.
    func matrix(
        _ name: String, _ shape: [Int], as type: DType? = nil
    ) throws -> Matrix {
        let tensor = try tensor(name, shape)
        guard let matrix = Matrix(tensor, as: type ?? compute.precision, compute: compute) else {
            throw ModelError(
                code: .unsupported,
                message:
                    "tensor \(prefix + name) is stored as \(tensor.type.safetensorsName); F32, F16 and BF16 are supported"
            )
        }
        return matrix
    }

    /// The tensor's values as f32; throws `ModelError` if it is missing or has another shape.
    func vector(_ name: String, _ shape: [Int]) throws -> [Float] {
        try tensor(name, shape).floats()
    }
}

/// Receives intermediate values while a model runs, by stage name; only for parity checks.
public typealias Trace = (_ name: String, _ rows: MatrixView) -> Void
