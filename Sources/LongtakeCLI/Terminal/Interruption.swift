import Glibc
import Longtake
import Synchronization

/// Handles Ctrl-C, SIGTERM and SIGHUP.
///
/// The first signal ends the work at the next frame and keeps what is sealed; the second ends the process at once.
enum Interruption {
    /// The flag that long work polls.
    static let cancellation = Cancellation()
    private static let received = Atomic<Int32>(0)
    private static let immediate = Atomic<Bool>(false)
    private static let isWorker = Atomic<Bool>(false)

    /// The exit status for the signal received; nil if there was none.
    static var exitCode: Int32? {
        let signal = received.load(ordering: .relaxed)
        return signal == 0 ? nil : exitCode(for: signal)
    }

    private static func exitCode(for signal: Int32) -> Int32 {
        isWorker.load(ordering: .relaxed) ? Exit.retry : 128 + signal
    }

    static func install() {
        // Initialize now: a signal handler must not be the first to use a lazy global.
        _ = (cancellation, received.load(ordering: .relaxed), immediate.load(ordering: .relaxed), Console.wantsJSON)
        _ = isWorker.load(ordering: .relaxed)
        Waits.prepare()
        signal(SIGPIPE, SIG_IGN)
        // A write beyond the file size limit ends the process by default; if ignored, it is an error like a full disk.
        signal(SIGXFSZ, SIG_IGN)
        for number in [SIGINT, SIGTERM] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { Interruption.handle($0) }
            // Without SA_RESTART, so that a blocked read returns and checks the cancellation.
            sigaction(number, &action, nil)
        }
        hangUp()
        unblock()
    }

    /// Handles SIGUSR1 like SIGTERM, as engines send it some time before they end a job; whatever a signal ends is to be
    /// tried again elsewhere, with the exit status for that.
    static func asWorker() {
        isWorker.store(true, ordering: .relaxed)
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in Interruption.handle(SIGTERM) }
        sigaction(SIGUSR1, &action, nil)
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGUSR1)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }

    /// Unblocks the signals, which a program with several threads may have started this one with blocked.
    private static func unblock() {
        var ours = sigset_t()
        sigemptyset(&ours)
        for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&ours, number) }
        sigprocmask(SIG_UNBLOCK, &ours, nil)
    }

    /// Handles a closed terminal like SIGTERM, unless the program was started to outlive it (nohup).
    private static func hangUp() {
        var action = sigaction()
        guard sigaction(SIGHUP, nil, &action) == 0, action.__sigaction_handler.sa_handler == nil else { return }
        action.__sigaction_handler.sa_handler = { Interruption.handle($0) }
        sigaction(SIGHUP, &action, nil)
    }

    /// Declares that there is nothing left to save: from here on a signal ends the process at once.
    static func endAtOnce() {
        immediate.store(true, ordering: .relaxed)
        let signal = received.load(ordering: .relaxed)
        if signal != 0 { end(signal) }
    }

    /// Runs a body that may take long and has nothing to save; meanwhile a signal ends the process at once.
    static func endingAtOnce<Value>(_ body: () throws -> Value) rethrows -> Value {
        let before = immediate.load(ordering: .relaxed)
        endAtOnce()
        defer { immediate.store(before, ordering: .relaxed) }
        return try body()
    }

    private static func handle(_ number: Int32) {
        let earlier = received.exchange(number, ordering: .relaxed)
        // The kernel and the shell both send SIGHUP for a closed terminal: that counts as one request.
        let isAgain = earlier != 0 && number != SIGHUP
        if isAgain || immediate.load(ordering: .relaxed) { end(number) }
        cancellation.cancel()
        Waits.end()
    }

    /// Ends the process, with --json after its last line.
    ///
    /// Runs in a signal handler, so it must not allocate.
    private static func end(_ number: Int32) -> Never {
        let isWorker = isWorker.load(ordering: .relaxed)
        let line: StaticString? =
            switch (Console.wantsJSON, isWorker, number) {
            case (false, false, _): nil
            case (false, true, _): "longtake: interrupted; nothing of what is published is lost: run the shard again\n"
            case (true, true, _):
                "{\"code\":75,\"error\":\"interrupted\",\"message\":\"interrupted; nothing of what is published is lost: run the shard again\",\"message_type\":\"exit_error\"}\n"
            case (true, false, SIGINT):
                "{\"code\":130,\"error\":\"interrupted\",\"message\":\"interrupted\",\"message_type\":\"exit_error\"}\n"
            case (true, false, SIGHUP):
                "{\"code\":129,\"error\":\"interrupted\",\"message\":\"interrupted\",\"message_type\":\"exit_error\"}\n"
            case (true, false, _):
                "{\"code\":143,\"error\":\"interrupted\",\"message\":\"interrupted\",\"message_type\":\"exit_error\"}\n"
            }
        if let line { _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount) }
        Glibc._exit(exitCode(for: number))
    }

    /// - Throws: `Failure` `interrupted` after a signal.
    static func check() throws {
        guard cancellation.isCancelled else { return }
        throw Failure(code: "interrupted", message: "interrupted", exitCode: Exit.interrupted)
    }
}
