internal import Tensors

// Letters: T rows, n width.

/// LayerNorm: (x − mean) / √(variance + eps) · weight + bias. Tensors `weight` and `bias`.
struct LayerNorm {
    private let weight: [Float]  // [n]
    private let bias: [Float]  // [n]
    private let epsilon: Float
    private let compute: Compute

    init(_ weights: WeightReader, _ width: Int, epsilon: Float) throws {
        weight = try weights.vector("weight", [width])
        bias = try weights.vector("bias", [width])
        self.epsilon = epsilon
        compute = weights.compute
    }

    /// out = LayerNorm(x): both [T, n], x f32; `out` may be `x`.
    func callAsFunction(_ x: MatrixView, into out: MatrixView) {
        compute.layerNorm(x, weight, bias, epsilon: epsilon, into: out)
    }
}

/// RMSNorm: x / √(mean(x²) + eps) · weight. Tensor `weight`.
struct RMSNorm {
    private let weight: [Float]  // [n]
    private let epsilon: Float
    private let compute: Compute

    init(_ weights: WeightReader, _ width: Int, epsilon: Float) throws {
        weight = try weights.vector("weight", [width])
        self.epsilon = epsilon
        compute = weights.compute
    }

    /// out = RMSNorm(x): both [T, n], x f32; `out` may be `x`.
    func callAsFunction(_ x: MatrixView, into out: MatrixView) {
        compute.rmsNorm(x, weight, epsilon: epsilon, into: out)
    }
}
