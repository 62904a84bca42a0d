internal import CKernels

/// Products with quantized weights.
extension Compute {
    /// Quantizes the rows of `x` [T, in], multiplies them with the packed weight and writes f32 or bf16 rows.
    ///
    /// A row's result has the same bits regardless of T and of the number of threads.
    func quantizedLinear(
        _ x: MatrixView, _ weight: QuantizedWeight, _ bias: UnsafePointer<Float>?, _ activation: Activation,
        _ accumulate: Bool, _ out: MatrixView
    ) {
        precondition(!accumulate || out.type == .f32, "linear: an accumulated product is f32")
        guard x.rows > 0 else { return }
        let table = kernels.table
        let isInt8 = weight.format.isInt8
        let layout = InputLayout(size: isInt8 ? Int(table.int8_operand_size) : 1, group: weight.inputGroup)
        let input = quantizedInput(x, layout)
        let panels = weight.panels
        var product = lt_quantized_gemm()
        product.weight = UnsafeRawPointer(panels.panels)
        product.weight_scales = UnsafeRawPointer(panels.scales)
        product.x = UnsafeRawPointer(input.rows.base)
        product.x_stride = input.rows.stride
        product.x_scales = UnsafePointer(input.scales)
        product.x_sums = UnsafePointer(input.sums)
        product.x_groups = weight.groupsInputs ? 1 : 0
        product.weight_groups = weight.format == .int8Groups ? 1 : 0
        product.rows = x.rows
        product.inputs = weight.columns
        product.outputs = weight.rows
        product.bias = bias
        product.activation = activation.kernel
        product.accumulate = accumulate ? 1 : 0
        product.out = out.base
        product.out_type = out.type.kernel
        product.out_stride = out.stride
        // One row is bound by memory; many rows take about a sixteenth of a multiply-add's time each.
        let cost = Int(LT_PANEL) * weight.columns * (x.rows + 7) / 16
        threadPool.parallelFor(weight.panelCount, cost: cost) { range in
            withUnsafePointer(to: product) {
                (isInt8 ? table.gemm_int8 : table.gemm_int4)?($0, range.lowerBound, range.count)
            }
        }
    }

    /// How activations are quantized.
    struct InputLayout: Equatable {
        let size: Int  // bytes per activation
        let group: Int  // inputs that share a scale; 0: all of a row
    }

    /// Quantized rows in scratch memory; valid until other rows are quantized.
    struct QuantizedInput {
        let rows: MatrixView  // [T, in], i8 or i16
        let scales: UnsafeMutablePointer<Float>  // [T], or [T, groups]
        let sums: UnsafeMutablePointer<Int32>  // [T], or [T, groups]
    }

    /// The input that several products share; `quantized` once one of them has quantized it.
    struct SharedInput {
        let view: MatrixView
        var quantized: (layout: InputLayout, input: QuantizedInput)?
    }

    /// Runs products of the same rows `x`, which `body` leaves unchanged: with quantized weights the rows are quantized
    /// once for all of them, to the same bits.
    public func sharingInput<Value>(_ x: MatrixView, _ body: () throws -> Value) rethrows -> Value {
        precondition(sharedInput == nil, "sharingInput: nested")
        sharedInput = SharedInput(view: x)
        defer { sharedInput = nil }
        return try body()
    }

    /// Quantizes `x` [T, in], or returns the shared rows if `x` was quantized in this way before.
    private func quantizedInput(_ x: MatrixView, _ layout: InputLayout) -> QuantizedInput {
        guard let shared = sharedInput, shared.view.base == x.base, shared.view.type == x.type,
            shared.view.rows == x.rows, shared.view.columns == x.columns, shared.view.stride == x.stride
        else {
            // Other rows overwrite the memory of the shared ones.
            sharedInput?.quantized = nil
            return quantize(x, layout)
        }
        if let quantized = shared.quantized, quantized.layout == layout { return quantized.input }
        let input = quantize(x, layout)
        sharedInput?.quantized = (layout, input)
        return input
    }

    private func quantize(_ x: MatrixView, _ layout: InputLayout) -> QuantizedInput {
        let table = kernels.table
        let (size, group) = (layout.size, layout.group)
        let sumsPerRow = group == 0 ? 1 : (x.columns + group - 1) / group
        let stride = Self.operandStride(x.columns, size: size)
        let rows = quantizedRows.matrix(size == 1 ? .i8 : .i16, rows: x.rows, columns: stride)
        let scales = quantizedScales.matrix(.f32, rows: x.rows, columns: sumsPerRow).floats
        let sums = quantizedSums.matrix(.i32, rows: x.rows, columns: sumsPerRow).base.assumingMemoryBound(
            to: Int32.self)
        threadPool.parallelFor(x.rows, cost: x.columns * Self.rowCost / 2) { range in
            let part = x.rows(range)
            table.quantize_activations(
                part.base, part.type.kernel, part.stride, part.rows, part.columns, group, size,
                rows.row(range.lowerBound), stride, scales + range.lowerBound * sumsPerRow,
                sums + range.lowerBound * sumsPerRow)
        }
        return QuantizedInput(rows: rows, scales: scales, sums: sums)
    }

    /// Elements from row to row of quantized activations: an odd multiple of 64 bytes, so that the rows of a tile, whose
    /// lengths are often a multiple of 4096, fall into different cache sets.
    private static func operandStride(_ columns: Int, size: Int) -> Int {
        let depth = (columns + WeightFormat.inputGroup - 1) / WeightFormat.inputGroup * WeightFormat.inputGroup
        return (((depth * size + 63) / 64) | 1) * 64 / size
    }
}
