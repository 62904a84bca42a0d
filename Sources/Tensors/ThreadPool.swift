internal import COpenMP
import Glibc

/// The compute threads: libgomp's pool, shared with oneDNN so that products and kernels never compete for cores.
///
/// libgomp keeps one pool per calling thread, so all computation must start from the same thread.
public struct ThreadPool: Sendable {
    /// The number of threads, at least 1.
    public let threadCount: Int
    private let awake = Awake()

    /// Set by the calling thread while its threads wait awake.
    private final class Awake: Sendable {
        nonisolated(unsafe) var threads: AwakeThreads?
    }

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

    /// Awake threads take pieces of at least this fraction of `leastWork`.
    private static let awakeFraction = 16

    /// Runs `body`, during which the threads wait for work awake: for many `parallelFor` in a row, each short.
    ///
    /// `body` must not call the matrix library, which would compute on one thread.
    public func keepingAwake(_ body: () -> Void) {
        // With fewer CPUs than threads, one that waits awake would keep another from working.
        guard threadCount > 1, threadCount <= Self.processors, awake.threads == nil else { return body() }
        let threads = AwakeThreads(threadCount: threadCount)
        withoutActuallyEscaping(body) { body in
            var region = Region(threads: threads, body: body)
            awake.threads = threads
            withUnsafeMutablePointer(to: &region) { pointer in
                GOMP_parallel(
                    { raw in
                        guard let raw else { return }
                        let region = raw.assumingMemoryBound(to: Region.self).pointee
                        guard ThreadPool.index == 0 else { return region.threads.help() }
                        region.body()
                        region.threads.end()
                    }, pointer, UInt32(threadCount), 0)
            }
            awake.threads = nil
        }
    }

    private static let processors = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    private struct Region {
        let threads: AwakeThreads
        let body: () -> Void
    }

    /// Runs `body` over 0..<count, split into one contiguous range per thread; returns when all are done.
    ///
    /// - Parameter cost: multiply-adds per item; ranges with less than `leastWork` are merged. Nil: each item is worth
    ///   a thread. `body` gets one range per thread, or several while the threads are awake.
    public func parallelFor(_ count: Int, cost: Int? = nil, _ body: (Range<Int>) -> Void) {
        let grain = cost.map { (Self.leastWork + $0 - 1) / max($0, 1) } ?? 1
        if let awake = awake.threads, awake.isFree {
            let least = (grain + Self.awakeFraction - 1) / Self.awakeFraction
            if count >= 2 * least { return awake.run(count, grain: least, body) }
        }
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
