public import Tensors

/// The keys and values of every layer for the positions a decoder has seen.
///
/// Bytes: layers × 2 × capacity × keyValueHeads·headSize × the size of the type.
public final class KVCache {
    public let capacity: Int
    public let layerCount: Int
    /// Positions filled so far.
    public internal(set) var count = 0
    private let width: Int
    private let type: DType
    private let bases: [UnsafeMutableRawPointer]  // per layer keys, then values
    private let owner: AnyObject

    private final class Memory {
        let buffer: Buffer<UInt8>
        init(_ count: Int) { buffer = Buffer(count: count) }
    }

    public init(layerCount: Int, width: Int, capacity: Int, type: DType) {
        self.layerCount = layerCount
        self.capacity = capacity
        self.width = width
        self.type = type
        let size = capacity * width * type.size
        let memory = Memory(2 * layerCount * size)
        let base = UnsafeMutableRawPointer(memory.buffer.pointer)
        bases = (0..<2 * layerCount).map { base + $0 * size }
        owner = memory
    }

    /// What was computed earlier: `count` positions in each of `parts`, keys and values by turns, with room behind them.
    ///
    /// - Parameter owner: keeps the memory alive.
    init?(
        layerCount: Int, width: Int, count: Int, type: DType, parts: [UnsafeMutableRawBufferPointer],
        owner: AnyObject
    ) {
        let row = width * type.size
        let found = parts.compactMap(\.baseAddress)
        guard found.count == 2 * layerCount, let room = parts.map({ $0.count / row }).min(), room >= count else {
            return nil
        }
        self.layerCount = layerCount
        self.width = width
        self.type = type
        capacity = room
        bases = found
        self.owner = owner
        self.count = count
    }

    public var byteCount: Int { 2 * layerCount * capacity * width * type.size }

    /// The filled positions' keys and values by turns, layer by layer, each [count, width].
    public var parts: [UnsafeRawBufferPointer] {
        bases.map { UnsafeRawBufferPointer(start: $0, count: count * width * type.size) }
    }

    /// Keys of the first `rows` positions of a layer: [rows, width].
    func keys(layer: Int, rows: Int) -> MatrixView { block(2 * layer, rows) }
    func values(layer: Int, rows: Int) -> MatrixView { block(2 * layer + 1, rows) }

    private func block(_ index: Int, _ rows: Int) -> MatrixView {
        precondition(rows <= capacity && index < 2 * layerCount, "KV cache: \(rows) of \(capacity)")
        return MatrixView(bases[index], type: type, rows: rows, columns: width)
    }

    /// A cache with room for `capacity` positions that begins with what this one holds.
    public func grown(to capacity: Int) -> KVCache {
        precondition(capacity >= count, "KV cache: \(capacity) for \(count)")
        let other = KVCache(layerCount: layerCount, width: width, capacity: capacity, type: type)
        for index in 0..<2 * layerCount {
            other.block(index, count).base.copyMemory(
                from: block(index, count).base, byteCount: count * width * type.size)
        }
        other.count = count
        return other
    }

    /// Forgets the positions from `count` on, so that another question can follow the same prefix.
    public func truncate(to count: Int) {
        precondition(count <= self.count, "KV cache: \(count) of \(self.count)")
        self.count = count
    }
}
