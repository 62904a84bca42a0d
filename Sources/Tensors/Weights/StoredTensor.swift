/// A tensor in a mapped checkpoint file; its bytes are valid while `owner` lives.
public struct StoredTensor: @unchecked Sendable {
    // @unchecked: the bytes are a read-only mapping, kept alive by `owner`.
    public let name: String
    public let type: DType
    /// Dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Row-major little-endian elements, possibly misaligned.
    public let bytes: UnsafeRawBufferPointer
    /// The mapping that keeps `bytes` alive.
    public let owner: AnyObject

    public init(name: String, type: DType, shape: [Int], bytes: UnsafeRawBufferPointer, owner: AnyObject) {
        self.name = name
        self.type = type
        self.shape = shape
        self.bytes = bytes
        self.owner = owner
    }

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }
}
