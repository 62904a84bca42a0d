internal import CKernels

/// A vector in int8 with one scale, to be compared with many rows: value = byte · scale.
public struct ByteVector: Sendable {
    public let bytes: [Int8]
    public let scale: Float

    /// The most numbers of a vector: beyond, a sum of products would not fit 32 bits.
    public static let most = 65_536

    /// Rounds `values` to 127 steps of the largest magnitude; an error of half a step at most.
    public init(_ values: [Float], kernels: Kernels) {
        precondition(values.count <= Self.most, "a byte vector of \(values.count)")
        var bytes = [Int8](repeating: 0, count: values.count)
        var scale: Float = 0
        kernels.table.quantize_rows(values, 1, values.count, &bytes, &scale)
        self.bytes = bytes
        self.scale = scale
    }
}

/// Dot products of one vector with many rows, for the thread that calls: rows are split by the caller.
extension Kernels {
    /// out[i] = row i · query, exactly, without either scale.
    ///
    /// - Parameters:
    ///   - rows: `count` rows of `query.bytes.count` bytes.
    ///   - stride: bytes from row to row.
    public func dots(
        _ query: ByteVector, rows: UnsafePointer<Int8>, stride: Int, count: Int, into out: UnsafeMutablePointer<Int32>
    ) {
        table.dot_i8(rows, stride, count, query.bytes.count, query.bytes, out)
    }

    /// out[i] = row i · query.
    ///
    /// - Parameters:
    ///   - rows: `count` rows of `query.count` numbers.
    ///   - stride: numbers from row to row.
    public func dots(
        _ query: [Float], rows: UnsafePointer<Float>, stride: Int, count: Int, into out: UnsafeMutablePointer<Float>
    ) {
        table.matrix_vector(rows, LT_F32, stride, query, nil, 0, count, query.count, out)
    }
}
