internal import Tensors

/// A linear layer with bias, y = x Wᵀ + b, W stored [out, in].
struct Linear {
    let weight: Matrix
    let bias: [Float]?
    var outputs: Int { weight.rows }

    init(
        _ weights: WeightReader, _ inputs: Int, _ outputs: Int, bias: Bool = true,
        as type: DType? = nil
    ) throws {
        weight = try weights.matrix("weight", [outputs, inputs], as: type)
        self.bias = bias ? try weights.vector("bias", [outputs]) : nil
    }

    func apply(_ x: MatrixView, activation: Activation = .none, into out: MatrixView, _ compute: Compute) {
        compute.linear(x, weight, bias: bias, activation: activation, into: out)
    }

    func apply(_ x: MatrixView, accumulateInto out: MatrixView, _ compute: Compute) {
        compute.linear(x, weight, bias: bias, accumulate: true, into: out)
    }
}

/// LayerNorm with weight and bias.
struct LayerNorm {
    let weight: [Float]
    let bias: [Float]
    let epsilon: Float

    init(_ weights: WeightReader, _ width: Int, _ epsilon: Float) throws {
        weight = try weights.vector("weight", [width])
        bias = try weights.vector("bias", [width])
        self.epsilon = epsilon
    }

    func apply(_ x: MatrixView, into out: MatrixView, _ compute: Compute) {
        compute.layerNorm(x, weight, bias, epsilon: epsilon, into: out)
    }
}
