import Glibc

/// A joinable POSIX thread that blocks all signals.
///
/// Threads started from it inherit the signal mask.
package final class BackgroundThread {
    private let thread: pthread_t
    private var isOwned = true

    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread that runs `body`; nil if no thread can be started.
    package init?(_ body: @escaping @Sendable () -> Void) {
        // A new thread inherits its creator's signal mask, so block all signals while it is created.
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        let work = Unmanaged.passRetained(Work(body))
        var made = pthread_t()
        let failure = pthread_create(
            &made, nil,
            { argument in
                if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, work.toOpaque())
        thread = made
        if failure != 0 {
            isOwned = false
            work.release()
            return nil
        }
    }

    /// Waits until the thread ends; later calls return at once.
    package func join() {
        if isOwned { pthread_join(thread, nil) }
        isOwned = false
    }

    /// Gives up ownership: the thread keeps running and is never joined.
    package func detach() {
        if isOwned { pthread_detach(thread) }
        isOwned = false
    }

    deinit { join() }
}
