/// Memory that grows to the largest matrix requested and is reused from call to call.
public final class Scratch {
    private var storage = Buffer<UInt8>(count: 0)

    /// Holds no memory until the first matrix is requested.
    public init() {}

    /// An uninitialized [rows, columns] matrix; it invalidates the one returned by the previous call.
    public func matrix(_ type: DType, rows: Int, columns: Int) -> MatrixView {
        storage.reserve(rows * columns * type.size)
        return MatrixView(UnsafeMutableRawPointer(storage.pointer), type: type, rows: rows, columns: columns)
    }
}
