public import Tensors

/// The keys and values of every layer for the positions a decoder has seen.
///
/// Bytes: layers × 2 × capacity × keyValueHeads·headSize × the size of the type.
public final class KeyValueCache {
    public let capacity: Int
    public let layerCount: Int
    /// Positions filled so far.
    public internal(set) var count = 0
    private let width: Int
    private let type: WorkType
    private let storage: Buffer<UInt8>

    public init(layerCount: Int, width: Int, capacity: Int, type: WorkType) {
        self.layerCount = layerCount
        self.capacity = capacity
        self.width = width
        self.type = type
        storage = Buffer(count: layerCount * 2 * capacity * width * type.size)
    }

    public var byteCount: Int { storage.count }

    /// Keys of the first `rows` positions of a layer: [rows, width].
    func keys(layer: Int, rows: Int) -> Block { block(2 * layer, rows) }
    func values(layer: Int, rows: Int) -> Block { block(2 * layer + 1, rows) }

    private func block(_ index: Int, _ rows: Int) -> Block {
        precondition(rows <= capacity && index < 2 * layerCount, "KV cache: \(rows) of \(capacity)")
        let base = UnsafeMutableRawPointer(storage.pointer) + index * capacity * width * type.size
        return Block(base, type: type, rows: rows, columns: width)
    }

    /// A cache with room for `capacity` positions that begins with what this one holds.
    public func grown(to capacity: Int) -> KeyValueCache {
        precondition(capacity >= count, "KV cache: \(capacity) for \(count)")
        let other = KeyValueCache(layerCount: layerCount, width: width, capacity: capacity, type: type)
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
