import Models
import Tensors
import Testing

struct KVCacheTests {
    @Test func `a grown cache has the room and the positions`() {
        let cache = KVCache(layerCount: 3, width: 8, capacity: 5, type: .bf16)
        #expect(cache.count == 0 && cache.parts.count == 6)
        #expect(cache.parts.allSatisfy { $0.count == 0 })
        let grown = cache.grown(to: 9)
        #expect(grown.capacity == 9 && grown.count == 0 && grown.layerCount == 3)
    }

    /// A row and its scales: 2 heads of 4 bytes and 2 scales of 4.
    @Test func `int8 rows have room for a scale per head`() {
        let shape = AttentionShape(heads: 4, keyValueHeads: 2, headSize: 4)
        let cache = KVCache(layerCount: 2, shape: shape, capacity: 3, type: .i8)
        #expect(Compute.keyValueRowBytes(shape, type: .i8) == 16 && Compute.keyValueRowBytes(shape, type: .bf16) == 16)
        #expect(cache.type == .i8 && cache.parts.count == 4 && cache.grown(to: 7).type == .i8)
    }
}
