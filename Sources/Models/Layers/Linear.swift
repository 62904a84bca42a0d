internal import Tensors

// Letters: T rows; in and out are the input and output widths of the layer.

/// A linear layer: y = x Wᵀ + b. Tensors `weight` [out, in] and `bias` [out].
struct Linear {
    let weight: Matrix  // [out, in]
    let bias: [Float]?  // [out]
    private let compute: Compute

    /// The output width.
    var outputs: Int { weight.rows }

    /// - Parameter type: nil: the compute precision.
    init(_ weights: WeightReader, _ inputs: Int, _ outputs: Int, bias: Bool = true, as type: DType? = nil) throws {
        weight = try weights.matrix("weight", [outputs, inputs], as: type)
        self.bias = bias ? try weights.vector("bias", [outputs]) : nil
        compute = weights.compute
    }

    /// out = act(x Wᵀ + b): x [T, in], out [T, out].
    func callAsFunction(_ x: MatrixView, activation: Activation = .none, into out: MatrixView) {
        compute.linear(x, weight, bias: bias, activation: activation, into: out)
    }

    /// out += x Wᵀ + b: x [T, in], out [T, out] f32.
    func callAsFunction(_ x: MatrixView, addingTo out: MatrixView) {
        compute.linear(x, weight, bias: bias, accumulate: true, into: out)
    }

    /// out = x Wᵀ + b, each row as if it were alone: x [B, in] f32, out [B, out] f32.
    func rows(_ x: MatrixView, into out: MatrixView) { compute.linearRows(x, weight, bias: bias, into: out) }

    /// out += x Wᵀ + b, each row as if it were alone: x [B, in] f32, out [B, out] f32.
    func rows(_ x: MatrixView, addingTo out: MatrixView) {
        compute.linearRows(x, weight, bias: bias, accumulate: true, into: out)
    }
}
