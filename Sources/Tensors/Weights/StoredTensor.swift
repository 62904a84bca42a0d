/// A tensor in a mapped checkpoint file; its bytes are valid while `owner` lives.
public struct StoredTensor: @unchecked Sendable {
    // @unchecked: the bytes are a read-only mapping, kept alive by `owner`.

    /// The tensor's key in the checkpoint.
    public let name: String
    /// The type of its elements.
    public let type: DType
    /// Dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// The mapping that keeps `bytes` alive.
    public let owner: AnyObject
    private let storage: Storage

    private enum Storage {
        case contiguous(UnsafeRawBufferPointer)
        case deferred(DeferredElements)
    }

    /// Row-major little-endian elements, possibly misaligned: a safetensors header of odd length shifts them.
    ///
    /// Those of a strided view are copied into this order, and those of an adapted matrix computed, on first use.
    public var bytes: UnsafeRawBufferPointer {
        switch storage {
        case .contiguous(let bytes): bytes
        case .deferred(let elements): elements.bytes
        }
    }

    /// Size of the elements in bytes.
    public var byteCount: Int {
        switch storage {
        case .contiguous(let bytes): bytes.count
        case .deferred(let elements): elements.byteCount
        }
    }

    /// Creates a tensor; `bytes` must hold `count` elements of `type`, which is not checked.
    public init(name: String, type: DType, shape: [Int], bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        self.name = name
        self.type = type
        self.shape = shape
        storage = .contiguous(bytes)
        self.owner = owner
    }

    /// Creates a tensor of elements that do not follow each other in memory.
    package init(name: String, type: DType, view: StridedView) {
        self.init(name: name, type: type, shape: view.shape, elements: view.elements)
    }

    /// Creates a tensor whose elements are computed on first use.
    init(name: String, type: DType, shape: [Int], elements: DeferredElements) {
        self.name = name
        self.type = type
        self.shape = shape
        storage = .deferred(elements)
        owner = elements
    }

    private init(_ other: StoredTensor, name: String) {
        self.name = name
        type = other.type
        shape = other.shape
        storage = other.storage
        owner = other.owner
    }

    /// The same tensor under another name.
    package func renamed(_ name: String) -> StoredTensor { StoredTensor(self, name: name) }

    /// Number of elements; 1 for a scalar.
    public var count: Int { shape.reduce(1, *) }

    /// The tensor of the outermost indices `range`; traps if it is out of bounds.
    func slice(_ range: Range<Int>) -> StoredTensor {
        let rows = shape.first ?? 0
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        let rowBytes = rows == 0 ? 0 : bytes.count / rows
        let part = UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound * rowBytes..<range.upperBound * rowBytes])
        return StoredTensor(
            name: name, type: type, shape: [range.count] + shape.dropFirst(), bytes: part, owner: owner)
    }
}
