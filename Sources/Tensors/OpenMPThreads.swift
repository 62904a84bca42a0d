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
        // Signals are the other threads': those that are made now inherit the mask.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        pthread_create(
            &thread, &attributes,
            { _ in
                let count = UInt32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)) + 1)
                GOMP_parallel({ _ in }, nil, count, 0)
                // Its threads stay as long as it does.
                while true { pause() }
            }, nil)
    }()
}
