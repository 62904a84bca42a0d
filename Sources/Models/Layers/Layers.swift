internal import Tensors

// Letters: T rows; in and out are the input and output widths of a linear layer.

/// A linear layer with bias: y = x Wᵀ + b.
struct Linear {
    let weight: Matrix  // [out, in]
    let bias: [Float]?  // [out]
    var outputs: Int { weight.rows }

    init(
        _ weights: WeightReader, _ inputs: Int, _ outputs: Int, bias: Bool = true,
        as type: DType? = nil
    ) throws {
        weight = try weights.matrix("weight", [outputs, inputs], as: type)
        self.bias = bias ? try weights.vector("bias", [outputs]) : nil
    }

    /// out = act(x Wᵀ + b): x [T, in], out [T, out].
    func apply(_ x: MatrixView, activation: Activation = .none, into out: MatrixView, _ compute: Compute) {
        compute.linear(x, weight, bias: bias, activation: activation, into: out)
    }

    /// out += x Wᵀ + b: x [T, in], out [T, out] f32.
    func apply(_ x: MatrixView, accumulateInto out: MatrixView, _ compute: Compute) {
        compute.linear(x, weight, bias: bias, accumulate: true, into: out)
    }
}

/// LayerNorm with weight and bias.
struct LayerNorm {
    let weight: [Float]  // [width]
    let bias: [Float]  // [width]
    let epsilon: Float

    init(_ weights: WeightReader, _ width: Int, _ epsilon: Float) throws {
        weight = try weights.vector("weight", [width])
        bias = try weights.vector("bias", [width])
        self.epsilon = epsilon
    }

    /// out = LayerNorm(x): both [T, width], x f32.
    func apply(_ x: MatrixView, into out: MatrixView, _ compute: Compute) {
        compute.layerNorm(x, weight, bias, epsilon: epsilon, into: out)
    }
}
