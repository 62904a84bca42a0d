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

    @Test func `awake threads split work without gaps or overlaps, nested work too`() {
        for threads in [1, 2, 3, 8] {
            let threadPool = ThreadPool(threadCount: threads)
            let hits = Buffer<Int32>(count: 10_000)
            hits.pointer.update(repeating: 0, count: 10_000)
            var rounds = 0
            threadPool.keepingAwake {
                for count in Array(repeating: [0, 1, 2, 7, 100], count: 40).joined() {
                    threadPool.parallelFor(count) { range in
                        for i in range {
                            threadPool.parallelFor(100) { for j in $0 { hits.pointer[i * 100 + j] += 1 } }
                        }
                    }
                    rounds += 1
                }
            }
            #expect(rounds == 200)
            // Items 0, 1, 2 to 6 and the others are in 4, 3, 2 and 1 of the 5 counts.
            for i in 0..<10_000 {
                #expect(hits.pointer[i] == (i < 100 ? 160 : i < 200 ? 120 : i < 700 ? 80 : 40))
            }
            threadPool.parallelFor(100) { range in for i in range { hits.pointer[i] = 7 } }
            #expect((0..<100).allSatisfy { hits.pointer[$0] == 7 })
        }
    }
}
