internal import COpenMP

/// The compute threads: libgomp's pool, shared with oneDNN so that products and kernels never compete for cores.
///
/// libgomp keeps one pool per calling thread, so all computation must start from the same thread.
public struct ThreadPool: Sendable {
    /// The number of threads, at least 1.
    public let threadCount: Int

    /// Sets libgomp's thread count for the calling thread; values below 1 become 1.
    public init(threadCount: Int) {
        self.threadCount = max(1, threadCount)
        OpenMPThreads.waitAsleep()
        omp_set_num_threads(Int32(self.threadCount))
    }

    /// The least work worth waking a thread for, in multiply-adds (about 0.1 ms).
    ///
    /// On virtual CPUs, waking a sleeping thread takes longer than that.
    static let leastWork = 1 << 20

    /// Runs `body` over 0..<count, split into one contiguous range per thread; returns when all are done.
    ///
    /// - Parameter cost: multiply-adds per item; ranges with less than `leastWork` are merged. Nil: each item is worth
    ///   a thread.
    public func parallelFor(_ count: Int, cost: Int? = nil, _ body: (Range<Int>) -> Void) {
        let grain = cost.map { (Self.leastWork + $0 - 1) / max($0, 1) } ?? 1
        let parts = min(threadCount, count / grain)
        guard parts > 1 else {
            if count > 0 { body(0..<count) }
            return
        }
        withoutActuallyEscaping(body) { body in
            var job = Job(count: count, body: body)
            withUnsafeMutablePointer(to: &job) { pointer in
                GOMP_parallel(
                    { raw in
                        guard let raw else { return }
                        let job = raw.assumingMemoryBound(to: Job.self).pointee
                        let index = ThreadPool.index
                        let parts = Int(omp_get_num_threads())
                        let range = (job.count * index / parts)..<(job.count * (index + 1) / parts)
                        if !range.isEmpty { job.body(range) }
                    }, pointer, UInt32(parts), 0)
            }
        }
    }

    /// The index of the current thread inside the body of `parallelFor`, from 0.
    static var index: Int { Int(omp_get_thread_num()) }

    private struct Job {
        let count: Int
        let body: (Range<Int>) -> Void
    }
}
