internal import CKernels

/// The quantized weight [out, in] of a linear layer, packed on first use into `Compute`'s weight memory.
final class QuantizedWeight {
    let format: WeightFormat
    let rows: Int
    let columns: Int
    /// True if activations have a scale per `WeightFormat.inputGroup` inputs, in int8; with groups of weights always.
    let groupsInputs: Bool
    private let source: Source
    private let compute: Compute
    private var packed: Packed?
    private let isMeasured: Bool
    /// False if the error of the weights is above the bound; known once they are packed, if it is measured.
    private(set) var isWithinBound = true

    private enum Source {
        case floats(StoredTensor)  // [out, in], F32, F16 or BF16
        case quantized(values: StoredTensor, scales: StoredTensor, minima: StoredTensor?)  // minima of int4
    }

    /// Panels as `CKernels.h` describes them.
    struct Packed {
        let panels: UnsafeMutableRawPointer
        let scales: UnsafeMutableRawPointer
        fileprivate let owners: [AnyObject]
    }

    /// The most inputs whose products surely fit a 32-bit sum.
    static let maxColumns = 65_536

    /// - Parameter isMeasured: the error is measured while quantizing.
    /// - Parameter groupsInputs: int8: activations have a scale per group of inputs.
    init?(
        _ tensor: StoredTensor, format: WeightFormat, groupsInputs: Bool = false, compute: Compute,
        isMeasured: Bool = false
    ) {
        guard tensor.shape.count >= 2, let rows = tensor.shape.first, rows > 0, tensor.bytes.baseAddress != nil,
            [.f32, .bf16, .f16].contains(tensor.type), tensor.count / rows <= Self.maxColumns
        else { return nil }
        self.format = format
        self.rows = rows
        columns = tensor.count / rows
        source = .floats(tensor)
        self.groupsInputs = groupsInputs || format == .int8Groups
        self.compute = compute
        self.isMeasured = isMeasured
    }

    /// - Parameter groupsInputs: activations have a scale per group of inputs.
    init?(int8 values: StoredTensor, scales: StoredTensor, groupsInputs: Bool = false, compute: Compute) {
        guard values.shape.count >= 2, let rows = values.shape.first, rows > 0, values.bytes.baseAddress != nil,
            values.type == .i8, scales.type == .f32, values.count / rows <= Self.maxColumns
        else { return nil }
        columns = values.count / rows
        let groups = (columns + WeightFormat.inputGroup - 1) / WeightFormat.inputGroup
        format = scales.shape.count == 2 ? .int8Groups : .int8
        guard scales.count == rows * (format == .int8 ? 1 : groups) else { return nil }
        self.rows = rows
        self.groupsInputs = groupsInputs || format == .int8Groups
        source = .quantized(values: values, scales: scales, minima: nil)
        self.compute = compute
        isMeasured = false
    }

    init?(int4 values: StoredTensor, scales: StoredTensor, minima: StoredTensor, columns: Int?, compute: Compute) {
        guard values.shape.count == 2, let rows = values.shape.first, rows > 0, values.bytes.baseAddress != nil,
            values.type == .u8, scales.type == .bf16, minima.type == .bf16
        else { return nil }
        let columns = columns ?? 2 * values.shape[1]
        let groups = (columns + WeightFormat.groupSize - 1) / WeightFormat.groupSize
        guard values.shape[1] == (columns + 1) / 2, columns <= Self.maxColumns, scales.count == rows * groups,
            minima.count == rows * groups
        else { return nil }
        format = .int4
        self.rows = rows
        self.columns = columns
        groupsInputs = true
        source = .quantized(values: values, scales: scales, minima: minima)
        self.compute = compute
        isMeasured = false
    }

    private init(_ whole: QuantizedWeight, rows range: Range<Int>) {
        format = whole.format
        rows = range.count
        columns = whole.columns
        groupsInputs = whole.groupsInputs
        compute = whole.compute
        isMeasured = false
        switch whole.source {
        case .floats(let tensor): source = .floats(tensor.slice(range))
        case .quantized(let values, let scales, let minima):
            source = .quantized(
                values: values.slice(range), scales: scales.slice(range), minima: minima?.slice(range))
        }
    }

    /// The outputs `range`, packed separately.
    func slice(rows range: Range<Int>) -> QuantizedWeight { QuantizedWeight(self, rows: range) }

    /// Panels of `LT_PANEL` outputs.
    var panelCount: Int { (rows + Self.panelRows - 1) / Self.panelRows }
    /// Groups of weights per row; 1 in int8 with a scale per row.
    var groupCount: Int { format.group.map { (columns + $0 - 1) / $0 } ?? 1 }
    /// Inputs that share a scale of the activations; 0: all of a row.
    var inputGroup: Int { format == .int4 ? WeightFormat.groupSize : groupsInputs ? WeightFormat.inputGroup : 0 }

    private static let panelRows = Int(LT_PANEL)

    /// Packs the weight unless that was done.
    func prepare() { _ = panels }

    /// The packed weight; packs it on first use, on all threads.
    var panels: Packed {
        if let packed { return packed }
        let panelBytes = Self.panelRows * (format.isInt8 ? (columns + 3) / 4 * 4 : groupCount * 16)
        let scaleBytes = Self.panelRows * groupCount * 4  // f32, or a scale and a minimum in bf16
        let panels = compute.weights.room(for: panelCount * panelBytes)
        let scales = compute.weights.room(for: panelCount * scaleBytes)
        let quantizer = WeightQuantizer(format, columns: columns, kernels: compute.kernels)
        let errors = Buffer<QuantizationError>(count: isMeasured ? rows : 0)
        compute.threadPool.parallelFor(panelCount, cost: Self.panelRows * columns * 4) { range in
            let values = Buffer<UInt8>(count: Self.panelRows * quantizer.valuesPerRow)
            let rowScales = Buffer<UInt8>(count: Self.panelRows * quantizer.scaleBytes)
            let rowMinima = Buffer<UInt16>(count: Self.panelRows * quantizer.minimaPerRow)
            let floats = Buffer<Float>(count: isMeasured ? 2 * columns : columns)
            for panel in range {
                let first = panel * Self.panelRows
                let count = min(Self.panelRows, rows - first)
                let stored = Rows(
                    values: values.pointer, scales: rowScales.pointer, minima: rowMinima.pointer)
                load(
                    first..<first + count, quantizer, staging: floats.pointer, into: stored,
                    errors: isMeasured ? errors.pointer : nil)
                pack(
                    stored, count: count, quantizer, panel: panels.base + panel * panelBytes,
                    scales: scales.base + panel * scaleBytes)
            }
        }
        let result = Packed(panels: panels.base, scales: scales.base, owners: [panels.owner, scales.owner])
        packed = result
        if isMeasured {
            var error = QuantizationError()
            for row in 0..<rows { error += errors.pointer[row] }
            isWithinBound = error.isWithinBound(format)
        }
        return result
    }

    /// Rows of one panel, as they are stored.
    private struct Rows {
        let values: UnsafeMutableRawPointer
        let scales: UnsafeMutableRawPointer
        let minima: UnsafeMutablePointer<UInt16>

        init(
            values: UnsafeMutablePointer<UInt8>, scales: UnsafeMutablePointer<UInt8>,
            minima: UnsafeMutablePointer<UInt16>
        ) {
            self.values = UnsafeMutableRawPointer(values)
            self.scales = UnsafeMutableRawPointer(scales)
            self.minima = minima
        }
    }

    /// Copies or quantizes the rows `range` into `rows`; writes the errors of quantized ones, by row.
    private func load(
        _ range: Range<Int>, _ quantizer: WeightQuantizer, staging: UnsafeMutablePointer<Float>, into rows: Rows,
        errors: UnsafeMutablePointer<QuantizationError>?
    ) {
        switch source {
        case .floats(let tensor):
            for (index, row) in range.enumerated() {
                tensor.copyFloats(row * columns, count: columns, into: staging, kernels: compute.kernels)
                let values = rows.values + index * quantizer.valuesPerRow
                let scales = rows.scales + index * quantizer.scaleBytes
                let minima = rows.minima + index * quantizer.minimaPerRow
                quantizer.quantize(staging, count: 1, values: values, scales: scales, minima: minima)
                guard let errors else { continue }
                let restored = staging + columns
                quantizer.dequantize(values, scales: scales, minima: minima, count: 1, into: restored)
                errors[row] = QuantizationError(row: staging, quantized: restored, count: columns)
            }
        case .quantized(let values, let scales, let minima):
            func copy(_ tensor: StoredTensor, _ rowBytes: Int, into target: UnsafeMutableRawPointer) {
                guard let base = tensor.bytes.baseAddress else { return }
                target.copyMemory(from: base + range.lowerBound * rowBytes, byteCount: range.count * rowBytes)
            }
            copy(values, quantizer.valuesPerRow, into: rows.values)
            copy(scales, quantizer.scaleBytes, into: rows.scales)
            if let minima { copy(minima, quantizer.minimaPerRow * 2, into: rows.minima) }
        }
    }

    /// Packs one panel; scales and minima of outputs that are missing become 0.
    private func pack(
        _ rows: Rows, count: Int, _ quantizer: WeightQuantizer, panel: UnsafeMutableRawPointer,
        scales: UnsafeMutableRawPointer
    ) {
        let panel = panel.assumingMemoryBound(to: UInt8.self)
        switch format {
        case .int8, .int8Groups:
            compute.kernels.table.pack_int8(
                rows.values.assumingMemoryBound(to: Int8.self), columns, count, columns, panel)
            let target = scales.assumingMemoryBound(to: Float.self)
            target.update(repeating: 0, count: Self.panelRows * groupCount)
            let source = rows.scales.assumingMemoryBound(to: Float.self)
            for row in 0..<count {
                for group in 0..<groupCount {
                    target[group * Self.panelRows + row] = source[row * groupCount + group]
                }
            }
        case .int4:
            compute.kernels.table.pack_int4(
                rows.values.assumingMemoryBound(to: UInt8.self), quantizer.valuesPerRow, count, columns, panel)
            let (source, target) = (
                rows.scales.assumingMemoryBound(to: UInt16.self), scales.assumingMemoryBound(to: UInt16.self)
            )
            target.update(repeating: 0, count: 2 * groupCount * Self.panelRows)
            for row in 0..<count {
                for group in 0..<groupCount {
                    let index = 2 * group * Self.panelRows + row
                    target[index] = source[row * groupCount + group]
                    target[index + Self.panelRows] = rows.minima[row * groupCount + group]
                }
            }
        }
    }
}
