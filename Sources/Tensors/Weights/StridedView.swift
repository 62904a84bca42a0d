/// Elements of a mapped storage that are not row-major and contiguous, for example a transposed matrix.
package struct StridedView: @unchecked Sendable {
    // @unchecked: the storage is a read-only mapping, kept alive by `owner`.

    /// Dimensions, outermost first.
    let shape: [Int]
    private let strides: [Int]
    private let elementSize: Int
    private let start: UnsafeRawPointer
    private let owner: AnyObject

    /// - Parameters:
    ///   - start: the view's first element; every element must lie in memory that `owner` keeps alive, which is not
    ///     checked.
    ///   - elementSize: bytes per element: 1, 2, 4 or 8.
    ///   - strides: elements from one index to the next, per dimension.
    package init(
        start: UnsafeRawPointer, elementSize: Int, shape: [Int], strides: [Int], owner: AnyObject
    ) {
        precondition(shape.count == strides.count, "\(shape.count) dimensions, \(strides.count) strides")
        self.start = start
        self.elementSize = elementSize
        self.shape = shape
        self.strides = strides
        self.owner = owner
    }

    /// The elements in row-major order, copied on first use.
    var elements: DeferredElements {
        DeferredElements(byteCount: shape.reduce(elementSize, *)) { target in
            withExtendedLifetime(owner) {
                switch elementSize {
                case 1: gather(UInt8.self, into: target)
                case 2: gather(UInt16.self, into: target)
                case 4: gather(UInt32.self, into: target)
                default: gather(UInt64.self, into: target)
                }
            }
        }
    }

    private func gather<Raw: BitwiseCopyable>(_: Raw.Type, into target: UnsafeMutableRawPointer) {
        let size = MemoryLayout<Raw>.size
        var next = target
        func copy(_ dimension: Int, from source: UnsafeRawPointer) {
            guard dimension < shape.count else {
                next.storeBytes(of: source.loadUnaligned(as: Raw.self), as: Raw.self)
                next += size
                return
            }
            let step = strides[dimension] * size
            var source = source
            for _ in 0..<shape[dimension] {
                copy(dimension + 1, from: source)
                source += step
            }
        }
        copy(0, from: start)
    }
}
