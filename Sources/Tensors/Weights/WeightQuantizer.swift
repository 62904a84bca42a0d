internal import CKernels

/// Quantizes rows of weights to int8 or int4; the bits are the same on every instruction set.
///
/// int8 rounds to 127 steps of the largest magnitude of a row, or of a group of a row. int4 takes, for each group, the scale and the minimum of the
/// least squared error among 14: seven that divide the group's range, and the least-squares line of each. Rows with NaN
/// or infinite values get scales that are not finite, so that products with them are not finite either.
public struct WeightQuantizer: Sendable {
    /// The format of the values.
    public let format: WeightFormat
    /// Inputs per row.
    public let columns: Int
    private let kernels: Kernels

    /// A quantizer of rows with `columns` elements.
    public init(_ format: WeightFormat, columns: Int, kernels: Kernels) {
        self.format = format
        self.columns = columns
        self.kernels = kernels
    }

    /// Stored elements per row: `columns` of I8, or half as many of U8, rounded up.
    public var valuesPerRow: Int { format.isInt8 ? columns : (columns + 1) / 2 }
    /// The type of the stored values: I8, or U8 with two weights each, the first in the low half.
    public var valueType: DType { format.isInt8 ? .i8 : .u8 }
    /// Scales per row: one, or one per group.
    public var scalesPerRow: Int { format.group.map { (columns + $0 - 1) / $0 } ?? 1 }
    /// The type of the scales.
    public var scaleType: DType { format.isInt8 ? .f32 : .bf16 }
    /// Bytes of a row's scales.
    public var scaleBytes: Int { scalesPerRow * scaleType.size }
    /// Minima per row, BF16: one per group, or none.
    public var minimaPerRow: Int { format.isInt8 ? 0 : scalesPerRow }

    /// Quantizes rows on the calling thread.
    ///
    /// - Parameters:
    ///   - rows: [count, columns].
    ///   - values: [count, valuesPerRow] of `valueType`.
    ///   - scales: [count, scalesPerRow] of `scaleType`, aligned.
    ///   - minima: [count, minimaPerRow] in bf16.
    public func quantize(
        _ rows: UnsafePointer<Float>, count: Int, values: UnsafeMutableRawPointer, scales: UnsafeMutableRawPointer,
        minima: UnsafeMutablePointer<UInt16>
    ) {
        switch format {
        case .int8:
            kernels.table.quantize_int8(
                rows, count, columns, values.assumingMemoryBound(to: Int8.self),
                scales.assumingMemoryBound(to: Float.self))
        case .int8Groups:
            quantizeGroups(
                rows, count: count, values: values.assumingMemoryBound(to: Int8.self),
                scales: scales.assumingMemoryBound(to: Float.self))
        case .int4:
            kernels.table.quantize_int4(
                rows, count, columns, values.assumingMemoryBound(to: UInt8.self),
                scales.assumingMemoryBound(to: UInt16.self), minima)
        }
    }

    private func quantizeGroups(
        _ rows: UnsafePointer<Float>, count: Int, values: UnsafeMutablePointer<Int8>,
        scales: UnsafeMutablePointer<Float>
    ) {
        let group = WeightFormat.inputGroup
        let (whole, rest) = columns.quotientAndRemainder(dividingBy: group)
        for row in 0..<count {
            let (source, target) = (rows + row * columns, values + row * columns)
            let scales = scales + row * scalesPerRow
            kernels.table.quantize_int8(source, whole, group, target, scales)
            if rest > 0 {
                kernels.table.quantize_int8(source + whole * group, 1, rest, target + whole * group, scales + whole)
            }
        }
    }

    /// Writes the weights that `quantize` stored, as f32 [count, columns].
    public func dequantize(
        _ values: UnsafeRawPointer, scales: UnsafeRawPointer, minima: UnsafePointer<UInt16>, count: Int,
        into rows: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<count {
            let target = rows + row * columns
            switch format {
            case .int8, .int8Groups:
                let scales = (scales + row * scaleBytes).assumingMemoryBound(to: Float.self)
                let source = (values + row * columns).assumingMemoryBound(to: Int8.self)
                let group = format.group ?? max(columns, 1)
                for i in 0..<columns { target[i] = Float(source[i]) * scales[i / group] }
            case .int4:
                let source = (values + row * valuesPerRow).assumingMemoryBound(to: UInt8.self)
                let scales = (scales + row * scaleBytes).assumingMemoryBound(to: UInt16.self)
                for i in 0..<columns {
                    let level = i % 2 == 0 ? source[i / 2] & 15 : source[i / 2] >> 4
                    let group = i / WeightFormat.groupSize
                    target[i] =
                        Float(level) * Self.float(scales[group]) + Self.float(minima[row * minimaPerRow + group])
                }
            }
        }
    }

    private static func float(_ bf16: UInt16) -> Float { Float(bitPattern: UInt32(bf16) << 16) }
}
