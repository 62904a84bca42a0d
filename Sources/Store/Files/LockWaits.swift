import Glibc
import Synchronization

/// The waits of this process for locks of other processes; a process asked to exit ends them all.
public enum LockWaits {
    /// When waits end, in nanoseconds of the monotonic clock; 0 while they are unlimited.
    private static let deadline = Atomic<Int64>(0)
    /// Time in nanoseconds that a wait still gets after `end`: most locks are held only briefly.
    private static let grace: Int64 = 500_000_000
    /// The longest wait, in seconds: a century.
    private static let maxSeconds = 3.2e9

    /// Ends all current and future waits; may be called from a signal handler after `prepare`.
    public static func end() {
        deadline.store(now + grace, ordering: .relaxed)
    }

    /// Initializes the state that `end` uses.
    public static func prepare() { _ = isEnding }

    /// True after `end`, even during the grace period.
    static var isEnding: Bool { deadline.load(ordering: .relaxed) != 0 }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// One wait of limited duration.
    struct Wait {
        private let last: Int64

        init(seconds: Double) {
            last = LockWaits.now + Int64(saturating: min(max(seconds, 0), LockWaits.maxSeconds) * 1e9)
        }

        /// Sleeps 2 ms and returns true if time is left; returns false at once otherwise.
        func sleepIfTimeIsLeft() -> Bool {
            let deadline = LockWaits.deadline.load(ordering: .relaxed)
            guard LockWaits.now < (deadline == 0 ? last : min(last, deadline)) else { return false }
            usleep(2000)
            return true
        }
    }
}
