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
}
