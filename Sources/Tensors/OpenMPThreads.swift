internal import COpenMP
import Glibc

/// How the threads of the products library wait for each other.
///
/// GNU's OpenMP lets a waiting thread spin for milliseconds, on cores that the decoder, or any other program, could use: three
/// hours in 480×360 on 2 cores are indexed in 40 s so, in 30 s without; beside another busy program it is worse by far. It reads
/// `OMP_WAIT_POLICY` before `main`, too early to be set here. But it spins a hundred times only while it has more threads than
/// there are CPUs (libgomp's manual, GOMP_SPINCOUNT), so it is given some more, which sleep for good.
enum OpenMPThreads {
    /// Has the threads sleep early from here on, unless the environment says how they wait.
    static func waitAsleep() { _ = once }

    private static let once: Void = {
        guard getenv("OMP_WAIT_POLICY") == nil, getenv("GOMP_SPINCOUNT") == nil else { return }
        let thread = BackgroundThread {
            let count = UInt32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 1)
            GOMP_parallel({ _ in }, nil, count, 0)
            // Its threads stay as long as it does.
            while true { pause() }
        }
        thread?.detach()
    }()
}
