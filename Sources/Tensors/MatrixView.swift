/// An unowned row-major view of `rows` × `columns` elements, with `stride` elements from row to row.
///
/// A view into a `Buffer` or a `Scratch` is valid until its owner is freed or grows.
public struct MatrixView {
    /// Address of element [0, 0].
    public let base: UnsafeMutableRawPointer
    /// Element type.
    public let type: DType
    /// Number of rows.
    public let rows: Int
    /// Elements per row.
    public let columns: Int
    /// Elements from one row to the next, at least `columns`.
    public let stride: Int

    /// A view of [rows, columns] elements at `base`; rows are contiguous if `stride` is nil.
    public init(_ base: UnsafeMutableRawPointer, type: DType, rows: Int, columns: Int, stride: Int? = nil) {
        self.base = base
        self.type = type
        self.rows = rows
        self.columns = columns
        self.stride = stride ?? columns
    }

    /// A contiguous f32 view [rows, columns].
    public init(_ floats: UnsafeMutablePointer<Float>, rows: Int, columns: Int) {
        self.init(UnsafeMutableRawPointer(floats), type: .f32, rows: rows, columns: columns)
    }

    /// The elements of an f32 view; traps if the view has another type.
    public var floats: UnsafeMutablePointer<Float> {
        precondition(type == .f32, "a \(type) matrix read as f32")
        return base.assumingMemoryBound(to: Float.self)
    }

    /// The address of row `index`; not bounds-checked.
    public func row(_ index: Int) -> UnsafeMutableRawPointer { base + index * stride * type.size }

    /// The view of the rows `range`; traps if it is out of bounds.
    public func rows(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        return MatrixView(row(range.lowerBound), type: type, rows: range.count, columns: columns, stride: stride)
    }

    /// The view of the columns `range` of every row; traps if it is out of bounds.
    public func columns(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(columns)")
        return MatrixView(
            base + range.lowerBound * type.size, type: type, rows: rows, columns: range.count, stride: stride)
    }
}
