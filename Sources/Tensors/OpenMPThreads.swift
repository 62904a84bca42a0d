internal import COpenMP
import Glibc
import SystemCalls

/// How libgomp's threads wait between parallel regions.
///
/// By default a waiting libgomp thread spins for milliseconds, on cores that the decoder or another program could use:
/// on 2 cores, indexing three hours of 480×360 video takes 40 s with spinning and 30 s without; with another busy
/// program the difference is far larger. libgomp reads `OMP_WAIT_POLICY` before `main`, too early to set it here. But
/// it spins only about a hundred times while it manages more threads than there are CPUs (libgomp manual,
/// GOMP_SPINCOUNT), so this adds threads that sleep forever.
enum OpenMPThreads {
    /// Makes waiting threads sleep early from now on, unless the environment sets a wait policy.
    static func waitAsleep() { _ = once }

    private static let once: Void = {
        guard getenv("OMP_WAIT_POLICY") == nil, getenv("GOMP_SPINCOUNT") == nil else { return }
        let thread = try? BackgroundThread {
            let count = UInt32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 1)
            GOMP_parallel({ _ in }, nil, count, 0)
            // libgomp keeps this thread's pool as long as the thread lives.
            while true { pause() }
        }
        thread?.detach()
    }()
}
