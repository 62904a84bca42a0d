internal import Tensors

/// Quantizes stored matrices in pieces of about a million weights, on several threads.
struct RowQuantizer {
    /// Consecutive rows of a matrix; the memory is valid until the next piece.
    struct Piece {
        /// The stored values of the rows.
        let values: UnsafeRawBufferPointer
        /// The stored scales of the rows.
        let scales: UnsafeRawBufferPointer
        /// The stored minima of the rows; empty in int8.
        let minima: UnsafeRawBufferPointer
        /// Bytes of the rows before.
        let sourceBytes: Int
        /// The rows' deviations, one each; empty unless they are measured.
        let errors: ArraySlice<QuantizationError>
    }

    private static let pieceCount = 1 << 20
    private let threads: ThreadPool
    private let kernels: Kernels

    init(threads: Int) throws {
        guard let kernels = Kernels() else {
            throw LongtakeError(code: .badRequest, message: "this CPU has none of the instruction sets of this build")
        }
        self.kernels = kernels
        self.threads = ThreadPool(threadCount: threads)
    }

    /// Quantizes an F32, F16 or BF16 matrix [out, in] and calls `body` with its pieces in order.
    func quantize(
        _ tensor: StoredTensor, as format: WeightFormat, measuring: Bool, _ body: (Piece) throws -> Void
    ) throws {
        let (rows, columns) = (tensor.shape[0], tensor.shape[1])
        let most = min(rows, max(1, Self.pieceCount / columns))
        let quantizer = WeightQuantizer(format, columns: columns, kernels: kernels)
        let valueBytes = quantizer.valuesPerRow * quantizer.valueType.size
        let (scaleBytes, minimaPerRow) = (quantizer.scaleBytes, quantizer.minimaPerRow)
        let weights = Buffer<Float>(count: most * columns)
        let values = Buffer<UInt8>(count: most * valueBytes)
        let scales = Buffer<UInt8>(count: most * scaleBytes)
        let minima = Buffer<UInt16>(count: most * minimaPerRow)
        let quantized = Buffer<Float>(count: measuring ? most * columns : 0)
        var errors = [QuantizationError](repeating: QuantizationError(), count: most)
        for first in stride(from: 0, to: rows, by: most) {
            let count = min(most, rows - first)
            errors.withUnsafeMutableBufferPointer { errors in
                threads.parallelFor(count, cost: 16 * columns) { range in
                    let row = weights.pointer + range.lowerBound * columns
                    tensor.copyFloats(
                        (first + range.lowerBound) * columns, count: range.count * columns, into: row, kernels: kernels)
                    let rowValues = UnsafeMutableRawPointer(values.pointer + range.lowerBound * valueBytes)
                    let rowScales = UnsafeMutableRawPointer(scales.pointer + range.lowerBound * scaleBytes)
                    let rowMinima = minima.pointer + range.lowerBound * minimaPerRow
                    quantizer.quantize(
                        row, count: range.count, values: rowValues, scales: rowScales, minima: rowMinima)
                    guard measuring else { return }
                    let restored = quantized.pointer + range.lowerBound * columns
                    quantizer.dequantize(
                        rowValues, scales: rowScales, minima: rowMinima, count: range.count, into: restored)
                    for index in range {
                        errors[index] = QuantizationError(
                            row: weights.pointer + index * columns, quantized: quantized.pointer + index * columns,
                            count: columns)
                    }
                }
            }
            try body(
                Piece(
                    values: UnsafeRawBufferPointer(start: values.pointer, count: count * valueBytes),
                    scales: UnsafeRawBufferPointer(start: scales.pointer, count: count * scaleBytes),
                    minima: UnsafeRawBufferPointer(start: minima.pointer, count: count * minimaPerRow * 2),
                    sourceBytes: count * columns * tensor.type.size, errors: errors.prefix(measuring ? count : 0)))
        }
    }
}
