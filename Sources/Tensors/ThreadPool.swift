internal import COpenMP

/// The compute threads: libgomp's pool, the one oneDNN uses, so that products and kernels never compete for cores.
///
/// libgomp keeps one pool per calling thread: all computing is done from one thread.
public struct ThreadPool: Sendable {
    public let threadCount: Int

    public init(threadCount: Int) {
        self.threadCount = max(1, threadCount)
        OpenMPThreads.waitAsleep()
        omp_set_num_threads(Int32(self.threadCount))
    }

    /// What a thread must have to do, in multiplications and additions, to be worth waking: 0.1 ms. Where the CPUs are virtual it
    /// takes longer than that until one that slept computes.
    static let leastWork = 1 << 20

    /// Runs `body` over 0..<count cut into one contiguous range per thread, none too short to be worth a thread.
    ///
    /// - Parameter cost: of one of `count`, as `leastWork` counts; nil: each is worth a thread.
    public func split(_ count: Int, cost: Int? = nil, _ body: (Range<Int>) -> Void) {
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

    /// Which of the threads runs the body of a `split`, from 0.
    static var index: Int { Int(omp_get_thread_num()) }

    private struct Job {
        let count: Int
        let body: (Range<Int>) -> Void
    }
}
