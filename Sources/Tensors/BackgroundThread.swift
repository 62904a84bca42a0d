import Glibc

/// A thread beside the one that computes; it gets no signals, and neither do the threads that it makes.
package final class BackgroundThread {
    private let thread: pthread_t
    private var isOwned = true

    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Nil where no thread can be started.
    package init?(_ body: @escaping @Sendable () -> Void) {
        // Signals are the other threads': one that is made now inherits the mask.
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

    /// Waits for its end, once.
    package func join() {
        if isOwned { pthread_join(thread, nil) }
        isOwned = false
    }

    /// Lets it run for itself.
    func detach() {
        if isOwned { pthread_detach(thread) }
        isOwned = false
    }

    deinit { join() }
}
