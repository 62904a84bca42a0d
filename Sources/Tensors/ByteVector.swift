internal import CKernels

/// A vector quantized to int8 with one scale, for dot products with many rows: value = byte · scale.
public struct ByteVector: Sendable {
    /// The quantized values, -127...127.
    public let bytes: [Int8]
    /// The factor from a byte to its value.
    public let scale: Float

    /// The largest vector length: a longer int8 dot product could overflow 32 bits.
    public static let maxCount = 65_536

    /// Quantizes `values` to 127 steps of the largest magnitude; the error is at most half a step.
    public init(_ values: [Float], kernels: Kernels) {
        precondition(values.count <= Self.maxCount, "a byte vector of \(values.count)")
        var bytes = [Int8](repeating: 0, count: values.count)
        var scale: Float = 0
        kernels.table.quantize_rows(values, 1, values.count, &bytes, &scale)
        self.bytes = bytes
        self.scale = scale
    }
}

/// Dot products of one vector with many rows, on the calling thread; the caller splits the rows over threads.
extension Kernels {
    /// out[i] = row i · query over the int8 values, exact; neither scale is applied.
    ///
    /// - Parameters:
    ///   - rows: [count, query.bytes.count].
    ///   - stride: bytes from row to row.
    public func dots(
        _ query: ByteVector, rows: UnsafePointer<Int8>, stride: Int, count: Int, into out: UnsafeMutablePointer<Int32>
    ) {
        table.dot_i8(rows, stride, count, query.bytes.count, query.bytes, out)
    }

    /// out[i] = row i · query in f32.
    ///
    /// - Parameters:
    ///   - rows: [count, query.count].
    ///   - stride: elements from row to row.
    public func dots(
        _ query: [Float], rows: UnsafePointer<Float>, stride: Int, count: Int, into out: UnsafeMutablePointer<Float>
    ) {
        table.gemv(rows, LT_F32, stride, query, nil, 0, count, query.count, out)
    }
}
