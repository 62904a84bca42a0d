import Glibc
import Synchronization

/// Whether this process still waits for others: whoever is asked to end gives its waits up.
public enum Patience {
    /// When waits end, in nanoseconds of the monotonic clock; 0 as long as they do not.
    private static let end = Atomic<Int64>(0)
    /// What is nearly through gets this long after the end was wished for: a lock is mostly held for a moment.
    private static let grace: Int64 = 500_000_000
    /// The longest wait, in seconds: a century.
    private static let most = 3.2e9

    /// Ends all waits, those to come too. May be called from a signal handler once `prepare` has been.
    public static func giveUp() {
        end.store(now + grace, ordering: .relaxed)
    }

    /// Makes what `giveUp` touches.
    public static func prepare() { _ = isOver }

    /// Whether nobody is waited for any more, or only for the moment that is left.
    static var isOver: Bool { end.load(ordering: .relaxed) != 0 }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// One wait: says how long it may go on.
    struct Wait {
        private let last: Int64

        init(seconds: Double) {
            last = Patience.now + Int64(saturating: min(max(seconds, 0), Patience.most) * 1e9)
        }

        /// Whether the time has not come yet; sleeps a little if so.
        func goesOn() -> Bool {
            let end = Patience.end.load(ordering: .relaxed)
            guard Patience.now < (end == 0 ? last : min(last, end)) else { return false }
            usleep(2000)
            return true
        }
    }
}
