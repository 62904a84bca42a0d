internal import CKernels

/// The number types computed in: f32 for parity with the reference, bf16 where the weights are stored so.
public enum DType: String, Sendable, Codable, CaseIterable {
    case f32
    case bf16

    /// Bytes per number.
    public var size: Int { self == .f32 ? 4 : 2 }
    var kernel: lt_type { self == .f32 ? LT_F32 : LT_BF16 }
}

/// A row-major view of `rows` × `columns` numbers, `stride` numbers from row to row, that someone else owns.
///
/// A view into a `Buffer` or a `Scratch` is valid until its owner is freed or grows.
public struct MatrixView {
    public let base: UnsafeMutableRawPointer
    public let type: DType
    public let rows: Int
    public let columns: Int
    public let stride: Int

    public init(_ base: UnsafeMutableRawPointer, type: DType, rows: Int, columns: Int, stride: Int? = nil) {
        self.base = base
        self.type = type
        self.rows = rows
        self.columns = columns
        self.stride = stride ?? columns
    }

    public init(_ floats: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
        self.init(UnsafeMutableRawPointer(floats), type: .f32, rows: rows, columns: columns)
    }

    /// The numbers of an f32 block.
    public var floats: UnsafeMutablePointer<Float> {
        precondition(type == .f32, "a bf16 block read as f32")
        return base.assumingMemoryBound(to: Float.self)
    }

    public func row(_ index: Int) -> UnsafeMutableRawPointer { base + index * stride * type.size }

    public func rows(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        return MatrixView(row(range.lowerBound), type: type, rows: range.count, columns: columns, stride: stride)
    }

    public func columns(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(columns)")
        return MatrixView(
            base + range.lowerBound * type.size, type: type, rows: rows, columns: range.count, stride: stride)
    }
}

/// Memory that grows to the largest block asked of it and is reused from call to call.
public final class Scratch {
    private var storage = Buffer<UInt8>(count: 0)

    public init() {}

    /// A block whose contents are undefined; it replaces the block of the call before.
    public func block(_ type: DType, rows: Int, columns: Int) -> MatrixView {
        storage.reserve(rows * columns * type.size)
        return MatrixView(UnsafeMutableRawPointer(storage.pointer), type: type, rows: rows, columns: columns)
    }

    public var byteCount: Int { storage.count }
}
