public import Tensors

// Letters: h_kv KV heads, d head size; width = h_kv · d.

/// The keys and values of every layer for the positions that a decoder has processed.
///
/// Bytes: layers · 2 · capacity · row bytes. A row has width elements; in i8, one f32 scale per KV head follows it
/// (`Compute.store`).
public final class KVCache {
    /// Maximum number of positions.
    public let capacity: Int
    /// Number of decoder layers.
    public let layerCount: Int
    /// Positions filled so far.
    public internal(set) var count = 0
    /// Element type of keys and values: f32, bf16 or i8.
    public let type: DType
    private let width: Int  // h_kv · d
    private let rowBytes: Int
    private let bases: [UnsafeMutableRawPointer]  // per layer keys, then values, each [capacity, rowBytes]
    private let owner: AnyObject  // keeps the memory of `bases` alive

    private final class Memory {
        let buffer: Buffer<UInt8>
        init(_ count: Int) { buffer = Buffer(count: count) }
    }

    /// Allocates an empty cache.
    ///
    /// - Parameters:
    ///   - shape: the head layout of a layer.
    ///   - type: the element type of keys and values: f32, bf16 or i8.
    public convenience init(layerCount: Int, shape: AttentionShape, capacity: Int, type: DType) {
        self.init(
            layerCount: layerCount, width: shape.keyValueHeads * shape.headSize, capacity: capacity, type: type,
            rowBytes: Compute.keyValueRowBytes(shape, type: type))
    }

    /// Allocates an empty cache of rows in a compute type; `width` is h_kv · d.
    public convenience init(layerCount: Int, width: Int, capacity: Int, type: DType) {
        precondition(DType.computeTypes.contains(type), "KV cache: \(type) rows need their head layout")
        self.init(layerCount: layerCount, width: width, capacity: capacity, type: type, rowBytes: width * type.size)
    }

    private init(layerCount: Int, width: Int, capacity: Int, type: DType, rowBytes: Int) {
        self.layerCount = layerCount
        self.capacity = capacity
        self.width = width
        self.type = type
        self.rowBytes = rowBytes
        let partBytes = capacity * rowBytes
        let memory = Memory(2 * layerCount * partBytes)
        let base = UnsafeMutableRawPointer(memory.buffer.pointer)
        bases = (0..<2 * layerCount).map { base + $0 * partBytes }
        owner = memory
    }

    /// Uses memory that already holds `count` positions; nil if the number of parts is wrong or one is too small.
    ///
    /// The capacity is that of the smallest part.
    ///
    /// - Parameters:
    ///   - parts: in the order of `parts`, each at least `count` rows, which are filled.
    ///   - owner: keeps the memory alive.
    init?(
        layerCount: Int, shape: AttentionShape, count: Int, type: DType, parts: [UnsafeMutableRawBufferPointer],
        owner: AnyObject
    ) {
        let rowBytes = Compute.keyValueRowBytes(shape, type: type)
        let partBases = parts.compactMap(\.baseAddress)
        guard partBases.count == 2 * layerCount, let rows = parts.map({ $0.count / rowBytes }).min(), rows >= count
        else { return nil }
        self.layerCount = layerCount
        width = shape.keyValueHeads * shape.headSize
        self.rowBytes = rowBytes
        self.type = type
        capacity = rows
        bases = partBases
        self.owner = owner
        self.count = count
    }

    /// The filled positions, layer by layer, alternating keys and values, each [count, row bytes].
    public var parts: [UnsafeRawBufferPointer] {
        bases.map { UnsafeRawBufferPointer(start: $0, count: count * rowBytes) }
    }

    /// Keys of the first `rows` positions of a layer: [rows, width].
    func keys(layer: Int, rows: Int) -> MatrixView { matrix(2 * layer, rows) }
    /// Values of the first `rows` positions of a layer: [rows, width].
    func values(layer: Int, rows: Int) -> MatrixView { matrix(2 * layer + 1, rows) }

    /// The first `rows` positions of part `index`, in the order of `parts`: [rows, width].
    private func matrix(_ index: Int, _ rows: Int) -> MatrixView {
        precondition(
            rows <= capacity && index < 2 * layerCount,
            "KV cache: \(rows) rows of part \(index), capacity \(capacity)")
        return MatrixView(
            bases[index], type: type, rows: rows, columns: width, stride: rowBytes / type.size)
    }

    /// A copy with room for `capacity` positions; copies all filled ones.
    public func grown(to capacity: Int) -> KVCache { suffix(from: 0, capacity: capacity) }

    /// A copy of the filled positions from `first` on, with room for `capacity` positions.
    func suffix(from first: Int, capacity: Int) -> KVCache {
        let copied = count - first
        precondition(copied >= 0 && capacity >= copied, "KV cache: capacity \(capacity) for \(copied) positions")
        let other = KVCache(
            layerCount: layerCount, width: width, capacity: capacity, type: type, rowBytes: rowBytes)
        for index in 0..<2 * layerCount {
            other.matrix(index, copied).base.copyMemory(
                from: matrix(index, count).row(first), byteCount: copied * rowBytes)
        }
        other.count = copied
        return other
    }

    /// Removes the positions from `count` on, so that another question can extend the same prefix.
    public func truncate(to count: Int) {
        precondition(count <= self.count, "KV cache: truncated to \(count), has \(self.count)")
        self.count = count
    }
}
