public import Tensors

/// Takes tensors out of a checkpoint by name, checking their shapes against the configuration.
public struct WeightReader {
    let tensors: [String: StoredTensor]
    let prefix: String
    let compute: Compute

    public init(_ tensors: [String: StoredTensor], prefix: String = "", compute: Compute) {
        self.tensors = tensors
        self.prefix = prefix
        self.compute = compute
    }

    func under(_ name: String) -> WeightReader {
        WeightReader(tensors, prefix: prefix + name, compute: compute)
    }

    func has(_ name: String) -> Bool { tensors[prefix + name] != nil }

    private func tensor(_ name: String, _ shape: [Int]) throws -> StoredTensor {
        guard let tensor = tensors[prefix + name] else { throw ModelError.missing(prefix + name) }
        guard tensor.shape == shape else {
            throw ModelError.shape(prefix + name, tensor.shape, wanted: shape)
        }
        return tensor
    }

    func matrix(
        _ name: String, _ shape: [Int], as type: DType? = nil
    ) throws -> Matrix {
        let tensor = try tensor(name, shape)
        guard let matrix = Matrix(tensor, as: type ?? compute.precision, compute: compute) else {
            throw ModelError(
                code: .unsupported, message: "tensor \(prefix + name) is stored as \(tensor.type.rawValue)")
        }
        return matrix
    }

    func vector(_ name: String, _ shape: [Int]) throws -> [Float] {
        try tensor(name, shape).floats()
    }
}

/// Looks at intermediate values while a model runs: the name of the stage and its rows. For parity checks only.
public typealias Trace = (_ name: String, _ rows: MatrixView) -> Void
