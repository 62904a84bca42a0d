import Glibc
import Synchronization

/// How long this process waits for locks held by other processes; `end` cuts all waits short when it must exit.
public enum LockWaits {
    /// When waits end, in nanoseconds of the monotonic clock; 0 while they are unlimited.
    private static let deadline = Atomic<Int64>(0)
    /// How long waits continue after `end`, in nanoseconds: most locks are released within this time.
    private static let grace: Int64 = 500_000_000
    /// The longest wait, in seconds: a century, which in nanoseconds fits Int64 even after the clock is added.
    private static let maxSeconds = 3.2e9

    /// Ends all current and future waits after 0.5 s; may be called from a signal handler after `prepare`.
    public static func end() {
        deadline.store(now + grace, ordering: .relaxed)
    }

    /// Initializes the state that `end` uses: Swift does so on first use, which is not safe in a signal handler.
    public static func prepare() { _ = isEnding }

    /// True after `end`, even during the grace period.
    static var isEnding: Bool { deadline.load(ordering: .relaxed) != 0 }

    /// Nanoseconds of the monotonic clock.
    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// One wait of limited duration.
    struct Wait {
        /// When this wait ends, in nanoseconds of the monotonic clock.
        private let limit: Int64

        init(seconds: Double) {
            limit = LockWaits.now + Int64(saturating: min(max(seconds, 0), LockWaits.maxSeconds) * 1e9)
        }

        /// Sleeps 2 ms and returns true if time is left; returns false at once otherwise.
        func sleepIfTimeIsLeft() -> Bool {
            let deadline = LockWaits.deadline.load(ordering: .relaxed)
            guard LockWaits.now < (deadline == 0 ? limit : min(limit, deadline)) else { return false }
            usleep(2000)
            return true
        }
    }
}
