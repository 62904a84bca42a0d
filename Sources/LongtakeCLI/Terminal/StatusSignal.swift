import CStart
import Glibc
import Longtake
import Synchronization
import SystemCalls

/// Prints one line about the work on SIGUSR1: on standard error, even with --quiet and --json.
enum StatusSignal {
    private static let line = Mutex("starting")

    /// Blocks the signal in this thread and those it starts later, so that it never ends the process.
    ///
    /// Decode workers inherit the mask.
    static func block() { longtake_block_status_signal() }

    private static var only: sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGUSR1)
        return set
    }

    /// Stores the current state of the work.
    static func note(_ text: String) { line.withLock { $0 = text } }

    /// Starts answering the signal; if no thread can be started, the signal has no effect.
    static func answer() {
        let thread = try? BackgroundThread(stackSize: 1 << 18) {
            var set = StatusSignal.only
            var number: Int32 = 0
            while sigwait(&set, &number) == 0 {
                Console.note("longtake: status: " + Console.name(StatusSignal.line.withLock { $0 }))
            }
        }
        thread?.detach()
    }
}
