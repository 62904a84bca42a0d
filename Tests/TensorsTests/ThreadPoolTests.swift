import Tensors
import Testing

struct ThreadPoolTests {
    @Test func `work is split without gaps or overlaps`() {
        for threads in [1, 2, 3, 8] {
            let threadPool = ThreadPool(threadCount: threads)
            for count in [0, 1, 2, 7, 100] {
                let hits = Buffer<Int32>(count: max(count, 1))
                hits.pointer.update(repeating: 0, count: max(count, 1))
                threadPool.parallelFor(count) { range in for i in range { hits.pointer[i] += 1 } }
                #expect((0..<count).allSatisfy { hits.pointer[$0] == 1 })
            }
        }
    }
}
