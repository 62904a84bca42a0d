internal import CKernels

/// The operations of a transformer layer, each over all rows at once and split over the threads.
extension Compute {
    /// Cost per element of a norm or a rotation, in multiply-adds (see `ThreadPool.leastWork`).
    static let rowCost = 8
    /// Cost of an exponential, in multiply-adds.
    static let exponentialCost = 16

    /// out = act(x · Wᵀ + bias), or out += x · Wᵀ + bias (then without activation).
    ///
    /// - Parameters:
    ///   - x: [T, in] in the precision, or f32 if T is 1; f32 or bf16 with quantized weights.
    ///   - weight: [out, in].
    ///   - bias: [out].
    ///   - out: [T, out]; f32 if T is 1 or `accumulate`.
    public func linear(
        _ x: MatrixView, _ weight: Matrix, bias: [Float]? = nil, activation: Activation = .none,
        accumulate: Bool = false, into out: MatrixView
    ) {
        precondition(x.columns == weight.columns && out.columns == weight.rows && out.rows == x.rows, "linear: shapes")
        precondition(!(accumulate && activation != .none), "linear: an accumulated product has no activation")
        if let bias { precondition(bias.count == weight.rows, "linear: bias") }
        weight.prepare()
        withPointer(bias) { bias in
            if let quantized = weight.quantized {
                quantizedLinear(x, quantized, bias, activation, accumulate, out)
            } else if x.rows == 1, x.type == .f32, out.type == .f32 {
                gemv(x.floats, weight, bias, activation, accumulate, out.floats)
            } else if x.rows > 0 {
                matmul.linear(
                    LinearProduct(
                        input: x, weight: weight, bias: bias, activation: activation, accumulate: accumulate,
                        output: out))
            }
        }
    }

    /// One row times the weights. It is bound by memory bandwidth, so each thread streams its own weight rows.
    private func gemv(
        _ x: UnsafeMutablePointer<Float>, _ weight: Matrix, _ bias: UnsafePointer<Float>?, _ activation: Activation,
        _ accumulate: Bool, _ out: UnsafeMutablePointer<Float>
    ) {
        let table = kernels.table
        let (base, columns, size, type) = (weight.base, weight.columns, weight.type.size, weight.type.kernel)
        threadPool.parallelFor(weight.rows, cost: columns) { range in
            let rows = base + range.lowerBound * columns * size
            table.gemv(
                rows, type, columns, x, bias.map { $0 + range.lowerBound }, accumulate ? 1 : 0, range.count, columns,
                out + range.lowerBound)
            if activation != .none {
                table.bias_activation(out + range.lowerBound, range.count, nil, activation.kernel, 1, range.count)
            }
        }
    }

    func withPointer(_ values: [Float]?, _ body: (UnsafePointer<Float>?) -> Void) {
        guard let values else { return body(nil) }
        values.withUnsafeBufferPointer { body($0.baseAddress) }
    }

    /// LayerNorm of f32 rows x [T, n] with weight and bias [n]; `out` may be `x` itself.
    public func layerNorm(_ x: MatrixView, _ weight: [Float], _ bias: [Float], epsilon: Float, into out: MatrixView) {
        precondition(weight.count == x.columns && bias.count == x.columns && out.columns == x.columns, "layerNorm")
        let table = kernels.table
        weight.withUnsafeBufferPointer { weight in
            bias.withUnsafeBufferPointer { bias in
                threadPool.parallelFor(x.rows, cost: x.columns * Self.rowCost) { rows in
                    let source = x.rows(rows)
                    let target = out.rows(rows)
                    table.layer_norm(
                        source.floats, source.stride, weight.baseAddress, bias.baseAddress, epsilon, rows.count,
                        x.columns, target.base, target.type.kernel, target.stride)
                }
            }
        }
    }

    /// RMSNorm of f32 rows x [T, n] with weight [n]; `out` may be `x` itself.
    public func rmsNorm(_ x: MatrixView, _ weight: [Float], epsilon: Float, into out: MatrixView) {
        precondition(weight.count == x.columns && out.columns == x.columns, "rmsNorm")
        let table = kernels.table
        weight.withUnsafeBufferPointer { weight in
            threadPool.parallelFor(x.rows, cost: x.columns * Self.rowCost) { rows in
                let source = x.rows(rows)
                let target = out.rows(rows)
                table.rms_norm(
                    source.floats, source.stride, weight.baseAddress, epsilon, rows.count, x.columns, target.base,
                    target.type.kernel, target.stride)
            }
        }
    }

    /// Rotary embedding in place on x [T, heads · headSize], with one row of angles per row of x.
    public func rotate(_ x: MatrixView, heads: Int, headSize: Int, by rotation: Rotation) {
        precondition(rotation.rows == x.rows && rotation.half * 2 == headSize, "rotate: shapes")
        let table = kernels.table
        threadPool.parallelFor(x.rows, cost: x.columns * Self.rowCost) { rows in
            let target = x.rows(rows)
            table.rope(
                target.base, target.type.kernel, target.stride, rows.count, heads, headSize,
                rotation.cosines + rows.lowerBound * rotation.half, rotation.sines + rows.lowerBound * rotation.half)
        }
    }

    /// gate = silu(gate) · up, elementwise; both [T, n] of one type.
    public func siluMultiply(_ gate: MatrixView, _ up: MatrixView) {
        precondition(gate.type == up.type && gate.rows == up.rows && gate.columns == up.columns, "siluMultiply")
        let table = kernels.table
        if gate.rows == 1 {
            threadPool.parallelFor(gate.columns, cost: Self.exponentialCost) { range in
                let (g, u) = (gate.columns(range), up.columns(range))
                table.silu_multiply(g.base, u.base, g.type.kernel, g.stride, u.stride, 1, range.count)
            }
            return
        }
        threadPool.parallelFor(gate.rows, cost: gate.columns * Self.exponentialCost) { rows in
            let (g, u) = (gate.rows(rows), up.rows(rows))
            table.silu_multiply(g.base, u.base, g.type.kernel, g.stride, u.stride, rows.count, gate.columns)
        }
    }

    /// Copies x [T, n] to `out`, converting between f32 and bf16 if the types differ; on the calling thread.
    public func convert(_ x: MatrixView, into out: MatrixView) {
        precondition(x.rows == out.rows && x.columns == out.columns, "convert: shapes")
        let table = kernels.table
        for row in 0..<x.rows {
            let (source, target) = (x.row(row), out.row(row))
            switch (x.type, out.type) {
            case (.f32, .bf16):
                table.f32_to_bf16(
                    source.assumingMemoryBound(to: Float.self), target.assumingMemoryBound(to: UInt16.self), x.columns)
            case (.bf16, .f32):
                table.bf16_to_f32(
                    source.assumingMemoryBound(to: UInt16.self), target.assumingMemoryBound(to: Float.self), x.columns)
            default:
                target.copyMemory(from: source, byteCount: x.columns * x.type.size)
            }
        }
    }

    /// y += x over `count` elements, on the calling thread.
    public func add(_ x: UnsafePointer<Float>, to y: UnsafeMutablePointer<Float>, count: Int) {
        kernels.table.add(x, y, count)
    }

    /// Quantizes x [T, n] to int8 with one scale per row (scale = max|x| / 127), as the frame record stores patches.
    public func quantize(_ x: MatrixView, into values: UnsafeMutablePointer<Int8>, scales: UnsafeMutablePointer<Float>)
    {
        precondition(x.stride == x.columns, "quantize: rows must be contiguous")
        kernels.table.quantize_rows(x.floats, x.rows, x.columns, values, scales)
    }

    /// x[T, n] = int8 values · scale of their row; x must be f32 with contiguous rows.
    public func dequantize(_ values: UnsafePointer<Int8>, scales: UnsafePointer<Float>, into x: MatrixView) {
        precondition(x.stride == x.columns, "dequantize: rows must be contiguous")
        kernels.table.dequantize_rows(values, scales, x.rows, x.columns, x.floats)
    }

    /// Writes the patch matrix [g·g, 3·p·p] of one packed RGB24 image, normalized per channel: (x/255 − mean) / std.
    ///
    /// - Parameters:
    ///   - rgb: [g·p, g·p, 3], g patches of p pixels per side; a patch's values are ordered channel, row, column.
    ///   - mean, std: one value per channel.
    ///   - out: f32 or bf16, contiguous rows.
    public func patchify(
        rgb: UnsafePointer<UInt8>, grid: Int, patch: Int, mean: [Float], std: [Float], into out: MatrixView
    ) {
        precondition(mean.count == 3 && std.count == 3 && out.stride == out.columns, "patchify")
        kernels.table.patchify_rgb(rgb, grid, patch, mean, std, out.base, out.type.kernel)
    }

    /// Writes the patch matrix [g·g, 3·p·p] of an image given as normalized planes [3, g·p, g·p].
    public func patchify(planes: UnsafePointer<Float>, grid: Int, patch: Int, into out: MatrixView) {
        kernels.table.patchify_planes(planes, grid, patch, out.base, out.type.kernel)
    }
}

/// The rotary cosines and sines of consecutive rows; valid until their owner is refilled.
public struct Rotation {
    /// [rows, half]
    public let cosines: UnsafePointer<Float>
    /// [rows, half]
    public let sines: UnsafePointer<Float>
    /// Number of rows.
    public let rows: Int
    /// Angles per row: half the head size.
    public let half: Int

    /// Angles in memory of the caller, [rows, half] each.
    public init(cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>, rows: Int, half: Int) {
        self.cosines = cosines
        self.sines = sines
        self.rows = rows
        self.half = half
    }
}
