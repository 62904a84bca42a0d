internal import Checkpoints
public import Tensors

/// Reads tensors from a checkpoint by name and checks their shapes against the configuration.
public struct WeightReader {
    let tensors: [String: StoredTensor]
    let prefix: String
    let compute: Compute
    let quantizing: [String: WeightFormat]
    private var groupsInputs = false

    /// A reader of `tensors` for models that compute with `compute`.
    ///
    /// - Parameters:
    ///   - prefix: prepended to every name.
    ///   - quantizing: the matrices to quantize in memory, by full name.
    public init(
        _ tensors: [String: StoredTensor], prefix: String = "", compute: Compute,
        quantizing: [String: WeightFormat] = [:]
    ) {
        self.tensors = tensors
        self.prefix = prefix
        self.compute = compute
        self.quantizing = quantizing
    }

    /// A reader for the names below `name`.
    func under(_ name: String) -> WeightReader {
        var reader = WeightReader(tensors, prefix: prefix + name, compute: compute, quantizing: quantizing)
        reader.groupsInputs = groupsInputs
        return reader
    }

    /// The same reader; activations of its int8 matrices have a scale per `WeightFormat.inputGroup` inputs.
    ///
    /// A language model has a few inputs that are a hundred times as large as the others, which one scale per row would
    /// round to almost nothing.
    func groupingInputs() -> WeightReader {
        var reader = self
        reader.groupsInputs = true
        return reader
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
    ///
    /// A matrix that is stored quantized stays so, and one of `quantizing` is quantized on first use, unless `type` is
    /// given.
    func matrix(
        _ name: String, _ shape: [Int], as type: DType? = nil
    ) throws -> Matrix {
        if type == nil, let format = tensors.weightFormat(of: prefix + name) {
            return try quantizedMatrix(name, shape, format)
        }
        let tensor = try tensor(name, shape)
        if type == nil, let format = quantizing[prefix + name],
            let matrix = Matrix(
                tensor, quantizedAs: format, groupsInputs: groupsInputs, compute: compute, isBounded: true)
        {
            return matrix
        }
        guard let matrix = Matrix(tensor, as: type ?? compute.precision, compute: compute) else {
            throw ModelError(
                code: .unsupported,
                message:
                    "tensor \(prefix + name) is stored as \(tensor.type.safetensorsName); F32, F16 and BF16 are supported"
            )
        }
        return matrix
    }

    private func quantizedMatrix(_ name: String, _ shape: [Int], _ format: WeightFormat) throws -> Matrix {
        let values = try tensor(name, format.valuesShape(shape))
        let scales = try tensor(TensorName.scale(of: name), format.scalesShape(shape))
        let minima = try format.minimaShape(shape).map { try tensor(TensorName.minimum(of: name), $0) }
        let matrix =
            if let minima {
                Matrix(int4: values, scales: scales, minima: minima, columns: shape[1], compute: compute)
            } else {
                Matrix(int8: values, scales: scales, groupsInputs: groupsInputs, compute: compute)
            }
        guard let matrix else {
            let types = "its scales are stored as \(scales.type.safetensorsName)"
            throw ModelError(
                code: .unsupported,
                message: "tensor \(prefix + name) cannot be read as \(format.name) weights: \(types)"
                    + (minima.map { ", its minima as \($0.type.safetensorsName)" } ?? ""))
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
