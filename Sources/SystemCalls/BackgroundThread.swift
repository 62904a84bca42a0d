import Glibc

/// A joinable POSIX thread with all signals blocked; every thread that Longtake starts itself is one.
///
/// Threads that libraries (FFmpeg, libgomp) start from it inherit the signal mask. Releasing the object joins the
/// thread, which may block, unless `detach` was called. Foundation's `Thread` cannot report a failed start.
package final class BackgroundThread {
    private let thread: pthread_t
    private var isJoinable = true

    /// Boxes the closure, to pass it to `pthread_create` as a pointer.
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Starts a thread that runs `body`.
    ///
    /// - Parameter stackSize: stack size in bytes; nil for the process's default (`ulimit -s`).
    /// - Throws: `SystemError` if the thread cannot be started; usually EAGAIN, a limit on threads or memory. EINVAL is a
    ///   stack size below PTHREAD_STACK_MIN.
    package init(stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        // A new thread inherits its creator's signal mask, so block all signals while it is created.
        var (allSignals, previousMask) = (sigset_t(), sigset_t())
        sigfillset(&allSignals)
        pthread_sigmask(SIG_SETMASK, &allSignals, &previousMask)
        defer { pthread_sigmask(SIG_SETMASK, &previousMask, nil) }
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        let sized = stackSize.map { pthread_attr_setstacksize(&attributes, $0) } ?? 0
        let work = Unmanaged.passRetained(Work(body))
        var created = pthread_t()
        let status =
            sized != 0
            ? sized
            : pthread_create(
                &created, &attributes,
                { argument in
                    if let argument { Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body() }
                    return nil
                }, work.toOpaque())
        thread = created
        if status != 0 {
            // All properties are set, so throwing runs deinit, which must not join.
            isJoinable = false
            work.release()
            throw SystemError(status)
        }
    }

    /// Waits until the thread ends; later calls return at once.
    package func join() {
        if isJoinable { pthread_join(thread, nil) }
        isJoinable = false
    }

    /// Gives up ownership: the thread keeps running and is never joined.
    package func detach() {
        if isJoinable { pthread_detach(thread) }
        isJoinable = false
    }

    deinit { join() }
}
