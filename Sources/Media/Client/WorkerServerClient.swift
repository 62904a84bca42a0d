import CSeccomp
import Dispatch
import Glibc
import Synchronization
import SystemCalls

/// The process that this one's decode workers are forked from, see `WorkerServer`; it ends with its last reference.
final class WorkerServerClient: Sendable {
    /// A worker that was started.
    struct Worker {
        /// The number of its request.
        let request: Int64
        let pid: pid_t
        /// Closed by whoever has the worker.
        let pidfd: Int32

        /// True once the process has ended, whether or not it has been waited for.
        var hasEnded: Bool {
            var waiting = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            return poll(&waiting, 1, 0) > 0
        }

        func kill() { _ = lt_pidfd_signal(pidfd, SIGKILL) }
    }

    /// What became of a request.
    enum Answer {
        case worker(Worker)
        /// Nothing was started: the worker needs a start of its own.
        case none
        /// The server is gone. It may have started a worker before, which has died with it, perhaps after writing.
        case lost
    }

    private struct State {
        /// The server's process; 0 once it may have been waited for.
        var pid: pid_t = 0
        var isReady = false
        var isGone = false
        /// No worker is to be forked from it any more.
        var isRetired = false
        var next: Int64 = 1
        var waiting: [Int64: DispatchSemaphore] = [:]
        var started: [Int64: (pid: Int64, pidfd: Int32)] = [:]
        var running: Set<Int64> = []
        var ended: [Int64: Int32] = [:]
    }

    /// What the thread that listens has, too.
    private final class Connection: Sendable {
        let socket: Int32
        let state = Mutex(State())

        init(socket: Int32) { self.socket = socket }

        deinit { close(socket) }

        func kill() { state.withLock { if $0.pid > 0 { _ = Glibc.kill($0.pid, SIGKILL) } } }
    }

    private let connection: Connection
    private let begun = ContinuousClock.now

    private init(_ connection: Connection) { self.connection = connection }

    // The server then ends, and with it the thread that listens.
    deinit { shutdown(connection.socket, Int32(SHUT_RDWR)) }

    private static let shared = Mutex<(client: WorkerServerClient?, losses: Int)>((nil, 0))
    private static let used = Mutex((peakBytes: 0, cpuSeconds: 0.0))

    /// After this time a new server takes over, so that updated libraries are used.
    private static let longestLife = Duration.seconds(3600)
    /// So many times a server may end by itself; then every worker gets a start of its own.
    private static let mostLosses = 2
    /// Seconds in which the server must answer.
    private static let patience = Duration.seconds(60)

    /// Of the workers that have ended: the largest resident set, in bytes, and CPU seconds of all.
    static var usage: (peakBytes: Int, cpuSeconds: Double) { used.withLock { $0 } }

    /// The server, started if there is none; nil if there can be none.
    static func running(_ executable: String) -> WorkerServerClient? {
        shared.withLock { shared in
            if let client = shared.client {
                let (isGone, isRetired) = client.connection.state.withLock { ($0.isGone, $0.isRetired) }
                if !isGone, !isRetired, client.begun.duration(to: .now) < longestLife { return client }
                if isGone { shared.losses += 1 }
            }
            shared.client = shared.losses < mostLosses ? start(executable) : nil
            return shared.client
        }
    }

    private static func start(_ executable: String) -> WorkerServerClient? {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            return nil
        }
        let (connection, other) = (Connection(socket: ends[0]), ends[1])
        let isStarted = DispatchSemaphore(value: 0)
        // The server ends with the thread that starts it, so that one stays.
        let thread = try? BackgroundThread(stackSize: 1 << 18) {
            let child = spawn(executable, other)
            connection.state.withLock { ($0.pid, $0.isGone) = (child, child <= 0) }
            close(other)
            isStarted.signal()
            if child > 0 { listen(connection, child) }
        }
        guard let thread else {
            close(other)
            return nil
        }
        thread.detach()
        isStarted.wait()
        return connection.state.withLock(\.pid) > 0 ? WorkerServerClient(connection) : nil
    }

    /// Starts the process; returns its ID, 0 if it does not start.
    private static func spawn(_ executable: String, _ socket: Int32) -> pid_t {
        let source = fcntl(socket, F_DUPFD_CLOEXEC, 10)
        guard source >= 0 else { return 0 }
        defer { close(source) }
        // A signal to all processes of a job is for the program, which ends its workers in its own time.
        let (failure, child) = WorkerProcess.spawn(
            executable, WorkerServer.request, [(here: source, there: WorkerServer.socketDescriptor)],
            blocking: [SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP])
        return failure == 0 ? child : 0
    }

    /// Starts a worker.
    ///
    /// - Parameters:
    ///   - json: the request, at most `WorkerServer.mostRequestBytes`.
    ///   - descriptors: the recording, the pipe, standard error and, for a clip, its file.
    ///   - isCancelled: polled while the server says nothing.
    /// - Throws: `MediaError` if cancelled, or if this process can open no descriptor for the worker.
    func worker(json: String, descriptors: [Int32], isCancelled: () -> Bool) throws -> Answer {
        let arrived = DispatchSemaphore(value: 0)
        let request = connection.state.withLock { state in
            state.next += 1
            state.waiting[state.next] = arrived
            return state.next
        }
        defer { connection.state.withLock { _ = $0.waiting.removeValue(forKey: request) } }
        guard try wait(arrived, isCancelled, until: { $0.isReady ? true : nil }) != nil else { return .none }
        let header = WorkerServer.Header(request: request, descriptors: Int64(descriptors.count))
        let message = withUnsafeBytes(of: header) { Array($0) } + Array(json.utf8)
        guard
            lt_send_descriptors(connection.socket, message, message.count, descriptors, Int32(descriptors.count)) == 0
        else { return .none }
        guard let started = try wait(arrived, isCancelled, until: { $0.started[request] }) else { return .lost }
        connection.state.withLock { _ = $0.started.removeValue(forKey: request) }
        guard started.pid > 0 else { return .none }
        // The caller closes the pipe, and with it the worker ends.
        guard started.pidfd >= 0 else { throw MediaError.limit("no descriptor for the decode worker", EMFILE) }
        return .worker(Worker(request: request, pid: pid_t(started.pid), pidfd: started.pidfd))
    }

    /// Waits for the server; nil if it is gone, or says nothing for too long and is killed.
    private func wait<T>(
        _ arrived: DispatchSemaphore, _ isCancelled: () -> Bool, until found: (State) -> T?
    ) throws -> T? {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            let (result, isGone) = connection.state.withLock { (found($0), $0.isGone) }
            if let result { return result }
            if isGone { return nil }
            if isCancelled() { throw MediaError.worker("interrupted") }
            if ContinuousClock.now > deadline {
                connection.kill()
                connection.state.withLock { $0.isGone = true }
                return nil
            }
            _ = arrived.wait(timeout: .now() + .milliseconds(250))
        }
    }

    /// The status of a worker that has ended, as `waitpid` gives it; nil while it runs. After the server's end -1.
    func status(of worker: Worker) -> Int32? {
        connection.state.withLock { $0.ended.removeValue(forKey: worker.request) ?? ($0.isGone ? -1 : nil) }
    }

    private static func listen(_ connection: Connection, _ child: pid_t) {
        var message = WorkerServer.Message()
        while true {
            var descriptors = [Int32](repeating: -1, count: Int(LT_MOST_DESCRIPTORS))
            var number: Int32 = 0
            let count = withUnsafeMutableBytes(of: &message) {
                lt_receive_descriptors(connection.socket, $0.baseAddress, $0.count, &descriptors, &number)
            }
            guard count == MemoryLayout<WorkerServer.Message>.size else { break }
            connection.state.withLock { take(message, number > 0 ? descriptors[0] : -1, &$0) }
        }
        connection.state.withLock { state in
            // Its workers die with it.
            kill(child, SIGKILL)
            (state.pid, state.isGone) = (0, true)
            for waiting in state.waiting.values { waiting.signal() }
            for started in state.started.values where started.pidfd >= 0 { close(started.pidfd) }
            state.started = [:]
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
    }

    private static func take(_ message: WorkerServer.Message, _ pidfd: Int32, _ state: inout State) {
        switch WorkerServer.Message.Kind(rawValue: message.kind) {
        case .ready:
            state.isReady = true
            for waiting in state.waiting.values { waiting.signal() }
        case .started:
            guard let waiting = state.waiting[message.request] else {
                // Nobody wants it any more, and its pipe is closed.
                if pidfd >= 0 { close(pidfd) }
                return
            }
            state.started[message.request] = (message.pid, pidfd)
            if pidfd >= 0 { state.running.insert(message.request) }
            waiting.signal()
        case .ended:
            used.withLock {
                $0.peakBytes = max($0.peakBytes, Int(message.peakBytes))
                $0.cpuSeconds += Double(message.cpuMicroseconds) * 1e-6
            }
            let status = Int32(truncatingIfNeeded: message.status)
            // All workers of a server have the same address layout: none is to be tried again after a crash.
            if [SIGSEGV, SIGBUS, SIGILL, SIGABRT, SIGFPE, SIGTRAP, SIGSYS].contains(status & 0x7F) {
                state.isRetired = true
            }
            if state.running.remove(message.request) != nil { state.ended[message.request] = status }
        case nil: break
        }
    }
}
