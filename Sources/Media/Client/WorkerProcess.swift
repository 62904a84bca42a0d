import CSeccomp
import Foundation
import Glibc
import Synchronization
import SystemCalls

/// A running decode worker and the read ends of its pipes.
final class WorkerProcess: Sendable {
    private let pid: pid_t
    /// The server that forked the worker; nil: it is a child of this process.
    private let server: (client: WorkerServerClient, worker: WorkerServerClient.Worker)?
    private let pipe: Int32
    /// Address space that decoding may need, in bytes.
    private let needsMemory: Int
    /// Read end of the worker's standard error; read only after the worker has exited.
    private let errors: Int32
    private let status = Mutex<String?>(nil)
    private let reaped = Mutex(false)
    private let isCancelled: @Sendable () -> Bool
    /// CPU seconds the worker may have used so far, and the seconds of the recording covered.
    private let budget = Mutex((allowed: 60.0, covered: 0.0))

    /// Starts a worker.
    ///
    /// - Parameter destination: the file that a clip is written to.
    static func start(
        file: Int32, destination: Int32? = nil, request: FrameRequest, isCancelled: @escaping @Sendable () -> Bool
    ) throws -> WorkerProcess {
        do {
            return try WorkerProcess(file, destination, request, isCancelled, mayBeForked: true)
        } catch is ServerLost {
            // Its pipes may have been written to already.
            return try WorkerProcess(file, destination, request, isCancelled, mayBeForked: false)
        }
    }

    /// The server ended while it was asked for a worker.
    private struct ServerLost: Error {}

    private init(
        _ file: Int32, _ destination: Int32?, _ request: FrameRequest, _ isCancelled: @escaping @Sendable () -> Bool,
        mayBeForked: Bool
    ) throws {
        self.isCancelled = isCancelled
        var request = request
        request.allowsNoFilter = Self.allowsNoFilter
        let json = String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
        let executable = try Self.executable()
        var (ends, errorEnds): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        var noPipe = ResourceLimits.retry { lt_pipe_cloexec(&ends) == 0 ? 0 : errno }
        if noPipe == 0 { noPipe = ResourceLimits.retry { lt_pipe_cloexec(&errorEnds) == 0 ? 0 : errno } }
        // Duplicate above the child's descriptors: dup2 of a descriptor onto itself would keep close-on-exec.
        let source = noPipe == 0 ? Self.duplicate(file) : -1
        let sink = source < 0 ? -1 : Self.duplicate(ends[1])
        let errorSink = sink < 0 ? -1 : Self.duplicate(errorEnds[1])
        let target = destination == nil || errorSink < 0 ? -1 : Self.duplicate(destination ?? -1)
        var closing = [ends[1], errorEnds[1], source, sink, errorSink, target]
        var isStarted = false
        defer {
            if !isStarted { closing += [ends[0], errorEnds[0]] }
            for descriptor in closing where descriptor >= 0 { close(descriptor) }
        }
        guard noPipe == 0 else { throw MediaError.limit("no pipe for the decode worker", noPipe) }
        guard errorSink >= 0, destination == nil || target >= 0 else {
            throw MediaError.limit("no descriptor for the decode worker", EMFILE)
        }
        // A 1 MiB pipe holds several frames, which saves context switches.
        _ = lt_set_pipe_size(ends[0], 1 << 20)
        // One page; output beyond it is lost, so that neither process ever blocks on this pipe.
        _ = lt_set_pipe_size(errorEnds[0], Int32(Self.mostErrorBytes))
        for end in errorEnds { _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK) }
        let descriptors = [source, sink, errorSink] + (target < 0 ? [] : [target])
        server = mayBeForked ? try Self.forked(executable, json, descriptors, isCancelled) : nil
        if let server {
            pid = server.worker.pid
        } else {
            let given = zip(descriptors, DecodeWorker.descriptors).map { (here: $0, there: $1) }
            let (failure, child) = Self.spawn(executable, json, given)
            guard failure == 0 else {
                throw MediaError.limit("the decode worker \(executable) does not start", failure)
            }
            pid = child
        }
        needsMemory = request.memoryLimit
        pipe = ends[0]
        errors = errorEnds[0]
        isStarted = true
    }

    /// Has the server fork a worker; nil: it needs a start of its own.
    private static func forked(
        _ executable: String, _ json: String, _ descriptors: [Int32], _ isCancelled: () -> Bool
    ) throws -> (WorkerServerClient, WorkerServerClient.Worker)? {
        guard getenv("LONGTAKE_WORKER") == nil, json.utf8.count <= WorkerServer.mostRequestBytes,
            let server = WorkerServerClient.running(executable)
        else { return nil }
        switch try server.worker(json: json, descriptors: descriptors, isCancelled: isCancelled) {
        case .worker(let worker): return (server, worker)
        case .none: return nil
        case .lost: throw ServerLost()
        }
    }

    /// Starts the hidden subcommand as a child of this process, in a session of its own.
    ///
    /// - Parameters:
    ///   - request: its first argument.
    ///   - descriptors: what it gets, by the numbers there; those here are above them.
    ///   - blocked: signals that it blocks; nil: those that this thread blocks.
    /// - Returns: 0 and its ID, or an error number.
    static func spawn(
        _ executable: String, _ request: String, _ descriptors: some Sequence<(here: Int32, there: Int32)>,
        blocking blocked: [Int32]? = nil
    ) -> (failure: Int32, pid: pid_t) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for output in [STDOUT_FILENO, STDERR_FILENO] {
            posix_spawn_file_actions_addopen(&actions, output, "/dev/null", O_WRONLY, 0)
        }
        var last = STDERR_FILENO
        for (here, there) in descriptors {
            posix_spawn_file_actions_adddup2(&actions, here, there)
            last = max(last, there)
        }
        // Close every other descriptor this process may have inherited.
        _ = lt_spawn_closes_from(&actions, last + 1)
        // A separate session: the parent handles Ctrl-C, and the child has no access to the terminal.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var flags = Int16(LT_SPAWN_SETSID)
        if let blocked {
            var signals = sigset_t()
            sigemptyset(&signals)
            for signal in blocked { sigaddset(&signals, signal) }
            posix_spawnattr_setsigmask(&attributes, &signals)
            flags |= Int16(POSIX_SPAWN_SETSIGMASK)
        }
        posix_spawnattr_setflags(&attributes, flags)
        let arguments = [executable, DecodeWorker.command, request, String(getpid())]
        let argv = arguments.map { strdup($0) } + [nil]
        // The dynamic linker needs LD_LIBRARY_PATH before the child's code runs; a worker then erases it.
        let libraries = getenv("LD_LIBRARY_PATH").map { "LD_LIBRARY_PATH=" + String(cString: $0) }
        let envp = [libraries].compactMap { $0 }.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let failure = ResourceLimits.retry { posix_spawn(&child, executable, &actions, &attributes, argv, envp) }
        return (failure, child)
    }

    /// Bytes of the worker's standard error that are kept.
    private static let mostErrorBytes = 4096

    /// LONGTAKE_NO_SECCOMP: whether to decode without a system call filter if the kernel refuses filters.
    static var allowsNoFilter: Bool {
        guard let value = getenv("LONGTAKE_NO_SECCOMP") else { return false }
        return ["1", "on", "yes", "true"].contains(String(cString: value).lowercased())
    }

    deinit {
        kill()
        _ = wait()
        close(pipe)
        close(errors)
        if let server { close(server.worker.pidfd) }
    }

    /// Duplicates a descriptor to a number above those the child gets; -1 on failure.
    private static func duplicate(_ descriptor: Int32) -> Int32 {
        var copy: Int32 = -1
        _ = ResourceLimits.retry {
            copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
            return copy < 0 ? errno : 0
        }
        return copy
    }

    /// Set by a program that implements the hidden subcommand itself, whatever its file is called.
    static let isThisProgram = Atomic<Bool>(false)

    /// Path of the binary with the hidden subcommand: $LONGTAKE_WORKER, this one, or `longtake` in the same directory
    /// (as in tests).
    static func executable() throws -> String {
        if let set = getenv("LONGTAKE_WORKER") { return String(cString: set) }
        if isThisProgram.load(ordering: .relaxed) { return "/proc/self/exe" }
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let url = URL(fileURLWithPath: own)
        if url.lastPathComponent == "longtake" { return "/proc/self/exe" }
        let beside = url.deletingLastPathComponent().appendingPathComponent("longtake").path
        guard access(beside, X_OK) == 0 else {
            throw MediaError.worker("no `longtake` in the directory of \(own); set LONGTAKE_WORKER to its path")
        }
        return beside
    }

    func kill() {
        reaped.withLock { isReaped in
            guard !isReaped else { return }
            if let server { server.worker.kill() } else { _ = Glibc.kill(pid, SIGKILL) }
        }
    }

    /// Sets the CPU seconds the worker may have used, and the seconds of the recording covered so far.
    func allow(cpuSeconds: Double, covered: Double) { budget.withLock { $0 = (cpuSeconds, covered) } }

    private func checkBudget() throws {
        guard let used = CPUBudget.used(by: pid) else { return }
        let (allowed, covered) = budget.withLock { $0 }
        // After its end its number may be another process's.
        if used > allowed, server?.worker.hasEnded != true { throw MediaError.tooSlow(used, covered: covered) }
    }

    /// What `wait` returns where the server ended before it could say how the worker did.
    private static let lost = "its server has ended"

    /// Waits for the process to exit and returns its exit status or signal as text.
    func wait() -> String {
        if let known = status.withLock({ $0 }) { return known }
        var code: Int32 = 0
        // The worker exits once its pipe is closed; kill it if it has not after 5 s.
        let deadline = ContinuousClock.now + .seconds(5)
        while true {
            if let server {
                if let status = server.client.status(of: server.worker) {
                    code = status
                    break
                }
                // A server that is stopped does not say how its workers end.
                if ContinuousClock.now > deadline + .seconds(1), server.worker.hasEnded {
                    code = -1
                    break
                }
            } else {
                let ended = waitpid(pid, &code, WNOHANG)
                if ended == pid || (ended < 0 && errno != EINTR) { break }
            }
            if ContinuousClock.now > deadline { kill() }
            usleep(500)
        }
        if code < 0 { kill() }
        reaped.withLock { $0 = true }
        let signal = code & 0x7F
        var text =
            code < 0
            ? Self.lost
            : signal != 0
                ? "signal \(signal), \(String(cString: strsignal(signal)))" : "exit status \(code >> 8 & 0xFF)"
        if let line = lastLine() { text += ": " + line }
        status.withLock { $0 = text }
        return text
    }

    /// Starts a worker that decodes nothing and returns the sandbox state it reports.
    static func sandbox() throws -> Sandbox.State {
        let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard nothing >= 0 else { throw MediaError.limit("/dev/null cannot be opened", errno) }
        defer { close(nothing) }
        let worker = try start(file: nothing, request: FrameRequest(output: .sandbox)) { false }
        guard let message = try worker.readHeader(timeout: 60) else { throw worker.died() }
        switch message.kind {
        case .sandbox: return try worker.readJSON(Sandbox.State.self, message, timeout: 60)
        case .failure:
            let failure = try worker.readJSON(WorkerFailure.self, message, timeout: 60)
            throw MediaError(code: failure.code, message: failure.message)
        default: throw MediaError.worker("an unexpected message")
        }
    }

    /// Explains the worker's death: by the file, or by an inherited address space limit.
    func died() -> MediaError {
        let how = wait()
        if how.hasPrefix(Self.lost) { return .serverLost }
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limits) == 0, limits.rlim_cur < UInt(needsMemory)
        else {
            return .crashed(how)
        }
        return .tooLittleMemory(how, limit: limits.rlim_cur, needed: needsMemory)
    }

    /// The last line the worker wrote to standard error, with control and format characters removed.
    private func lastLine() -> String? {
        var bytes = [UInt8](repeating: 0, count: Self.mostErrorBytes)
        let got = Glibc.read(errors, &bytes, bytes.count)
        guard got > 0 else { return nil }
        let lines = String(decoding: bytes[..<got], as: UTF8.self).split(whereSeparator: \.isNewline)
        let line = lines.last { $0.contains { !$0.isWhitespace } }
        let shown = line?.unicodeScalars.filter { $0.properties.generalCategory != .control && $0.value != 0xFFFD }
        let plain = shown?.filter { $0.properties.generalCategory != .format }
        return plain.map { String(String.UnicodeScalarView($0.prefix(200))) }
    }

    /// Reads the next header; nil if the pipe was closed.
    func readHeader(timeout: Double) throws -> WorkerMessage? {
        try withUnsafeTemporaryAllocation(byteCount: WorkerMessage.headerBytes, alignment: 8) { raw in
            guard try fill(raw, timeout: timeout, endAllowed: true) else { return nil }
            guard let message = WorkerMessage(UnsafeRawBufferPointer(raw)) else {
                throw MediaError.worker("an invalid message")
            }
            return message
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, timeout: Double) throws {
        _ = try fill(buffer, timeout: timeout, endAllowed: false)
    }

    func readJSON<Value: Decodable>(_ type: Value.Type, _ message: WorkerMessage, timeout: Double) throws -> Value {
        guard message.payload <= WorkerMessage.maxJSON else {
            throw MediaError.worker("a message of \(message.payload) bytes, the limit is \(WorkerMessage.maxJSON)")
        }
        var bytes = [UInt8](repeating: 0, count: message.payload)
        try bytes.withUnsafeMutableBytes { try read(into: $0, timeout: timeout) }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        do {
            return try decoder.decode(type, from: Data(bytes))
        } catch {
            throw MediaError.worker("an invalid message")
        }
    }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer, timeout: Double, endAllowed: Bool) throws -> Bool {
        let limit = min(max(timeout, 0.01), 86_400)
        // Time while this process was stopped (Ctrl-Z) must not count as waiting for the worker. The kernel ends a poll
        // whose timeout passed meanwhile; with many short polls, that is only one of them.
        let slice = min(0.25, limit / 4)
        var (done, waited) = (0, 0.0)
        var starved: RunQueueWait?
        while done < buffer.count {
            if isCancelled() { throw MediaError.worker("interrupted") }
            try checkBudget()
            var waiting = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            let ready = poll(&waiting, 1, Int32(saturating: (slice * 1000).rounded(.up)))
            if ready < 0, errno == EINTR { continue }
            if ready == 0 {
                // Time in which the worker was ready to run but had no CPU does not count either.
                if var since = starved {
                    waited += slice - since.advance(atMost: slice)
                    starved = since
                } else {
                    starved = RunQueueWait(pid: pid)
                    waited += slice
                }
                if waited >= limit { throw MediaError.stuck(timeout) }
                continue
            }
            let got = (try? SystemCall.read(pipe, UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))) ?? 0
            if got == 0 {
                if done == 0, endAllowed { return false }
                throw died()
            }
            (done, waited) = (done + got, 0)
        }
        return true
    }
}
