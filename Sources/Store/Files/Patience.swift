import Glibc
import Synchronization

/// Whether this process still waits for other processes; a process asked to exit stops waiting.
public enum Patience {
    /// When waits end, in nanoseconds of the monotonic clock; 0 while they are unlimited.
    private static let end = Atomic<Int64>(0)
    /// Time in nanoseconds that a wait still gets after `giveUp`: most locks are held only briefly.
    private static let grace: Int64 = 500_000_000
    /// The longest wait, in seconds: a century.
    private static let most = 3.2e9

    /// Ends all current and future waits; may be called from a signal handler after `prepare`.
    public static func giveUp() {
        end.store(now + grace, ordering: .relaxed)
    }

    /// Initializes the state that `giveUp` uses.
    public static func prepare() { _ = isOver }

    /// True after `giveUp`, even during the grace period.
    static var isOver: Bool { end.load(ordering: .relaxed) != 0 }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// One wait of limited duration.
    struct Wait {
        private let last: Int64

        init(seconds: Double) {
            last = Patience.now + Int64(saturating: min(max(seconds, 0), Patience.most) * 1e9)
        }

        /// Returns true if time is left, after sleeping 2 ms.
        func goesOn() -> Bool {
            let end = Patience.end.load(ordering: .relaxed)
            guard Patience.now < (end == 0 ? last : min(last, end)) else { return false }
            usleep(2000)
            return true
        }
    }
}
