import CSeccomp
import Foundation
import Glibc
import Synchronization

/// A running decode worker and the reading ends of its pipes.
final class WorkerProcess: Sendable {
    private let pid: pid_t
    private let pipe: Int32
    /// Bytes of address space that decoding may take.
    private let needsMemory: Int
    /// What it writes to standard error: of use after its death only.
    private let errors: Int32
    private let status = Mutex<String?>(nil)
    private let reaped = Mutex(false)
    private let isCancelled: @Sendable () -> Bool
    /// CPU seconds that it may have taken by now.
    private let budget = Mutex((allowed: 60.0, covered: 0.0))

    init(file: Int32, request: FrameRequest, isCancelled: @escaping @Sendable () -> Bool) throws {
        self.isCancelled = isCancelled
        var request = request
        request.allowsNoFilter = Self.allowsNoFilter
        let json = String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
        let executable = try Self.executable()
        var (ends, errorEnds): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        var noPipe = ResourceLimits.retry { lt_pipe_cloexec(&ends) == 0 ? 0 : errno }
        if noPipe == 0 { noPipe = ResourceLimits.retry { lt_pipe_cloexec(&errorEnds) == 0 ? 0 : errno } }
        // Out of the way of the descriptors the child gets; dup2 onto itself would keep close-on-exec.
        let source = noPipe == 0 ? Self.duplicate(file) : -1
        let sink = source < 0 ? -1 : Self.duplicate(ends[1])
        let errorSink = sink < 0 ? -1 : Self.duplicate(errorEnds[1])
        var closing = [ends[1], errorEnds[1], source, sink, errorSink]
        var isStarted = false
        defer {
            if !isStarted { closing += [ends[0], errorEnds[0]] }
            for descriptor in closing where descriptor >= 0 { close(descriptor) }
        }
        guard noPipe == 0 else { throw MediaError.limit("no pipe for the decode worker", noPipe) }
        guard errorSink >= 0 else { throw MediaError.limit("no descriptor for the decode worker", EMFILE) }
        // A pipe of a megabyte holds some frames: fewer switches between the processes.
        _ = lt_set_pipe_size(ends[0], 1 << 20)
        // A page, and what does not fit is lost: neither process ever waits for the other there.
        _ = lt_set_pipe_size(errorEnds[0], Int32(Self.mostErrorBytes))
        for end in errorEnds { _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, errorSink, 2)
        posix_spawn_file_actions_adddup2(&actions, source, DecodeWorker.fileDescriptor)
        posix_spawn_file_actions_adddup2(&actions, sink, DecodeWorker.pipeDescriptor)
        // Nothing else that this process may have inherited.
        _ = lt_spawn_closes_from(&actions, DecodeWorker.pipeDescriptor + 1)
        // A session of its own: Ctrl-C at the terminal is the parent's to handle, and the terminal is not the worker's.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        posix_spawnattr_setflags(&attributes, Int16(LT_SPAWN_SETSID))
        defer { posix_spawnattr_destroy(&attributes) }
        let arguments = [executable, DecodeWorker.command, json, String(getpid())]
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        // The dynamic linker looks for libraries there before the worker is one; the worker wipes it out.
        let libraries = getenv("LD_LIBRARY_PATH").map { "LD_LIBRARY_PATH=" + String(cString: $0) }
        var envp: [UnsafeMutablePointer<CChar>?] = [libraries].compactMap { $0 }.map { strdup($0) } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        let failure = ResourceLimits.retry { posix_spawn(&child, executable, &actions, &attributes, &argv, &envp) }
        guard failure == 0 else {
            throw MediaError.limit("the decode worker \(executable) does not start", failure)
        }
        pid = child
        needsMemory = request.memoryLimit
        pipe = ends[0]
        errors = errorEnds[0]
        isStarted = true
    }

    /// Bytes of the worker's standard error that are kept.
    private static let mostErrorBytes = 4096

    /// LONGTAKE_NO_SECCOMP: whether decoding without a filter is better than no decoding, where the kernel refuses filters.
    static var allowsNoFilter: Bool {
        guard let value = getenv("LONGTAKE_NO_SECCOMP") else { return false }
        return ["1", "on", "yes", "true"].contains(String(cString: value).lowercased())
    }

    deinit {
        kill()
        _ = wait()
        close(pipe)
        close(errors)
    }

    /// A copy of a descriptor above those the child gets; -1 where there is none.
    private static func duplicate(_ descriptor: Int32) -> Int32 {
        var copy: Int32 = -1
        _ = ResourceLimits.retry {
            copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 10)
            return copy < 0 ? errno : 0
        }
        return copy
    }

    /// Set by a program that has the hidden subcommand itself, whatever its file is called.
    static let isThisProgram = Atomic<Bool>(false)

    /// The binary that has the hidden subcommand: this one, or `longtake` beside it (as in the tests), or $LONGTAKE_WORKER.
    static func executable() throws -> String {
        if let set = getenv("LONGTAKE_WORKER") { return String(cString: set) }
        if isThisProgram.load(ordering: .relaxed) { return "/proc/self/exe" }
        let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let url = URL(fileURLWithPath: own)
        if url.lastPathComponent == "longtake" { return "/proc/self/exe" }
        let beside = url.deletingLastPathComponent().appendingPathComponent("longtake").path
        guard access(beside, X_OK) == 0 else {
            throw MediaError.worker("no `longtake` beside \(own); set LONGTAKE_WORKER to its path")
        }
        return beside
    }

    func kill() {
        reaped.withLock { if !$0 { _ = Glibc.kill(pid, SIGKILL) } }
    }

    /// Says how many CPU seconds the worker may have taken, for `covered` seconds of the recording.
    func allow(cpuSeconds: Double, covered: Double) { budget.withLock { $0 = (cpuSeconds, covered) } }

    private func checkBudget() throws {
        guard let used = CPUBudget.used(by: pid) else { return }
        let (allowed, covered) = budget.withLock { $0 }
        if used > allowed { throw MediaError.tooSlow(used, covered: covered) }
    }

    /// Waits for the process to end and says how it did.
    func wait() -> String {
        if let known = status.withLock({ $0 }) { return known }
        var code: Int32 = 0
        // Who has closed its pipe is about to end; who does not end then is made to.
        let deadline = ContinuousClock.now + .seconds(5)
        while true {
            let ended = waitpid(pid, &code, WNOHANG)
            if ended == pid || (ended < 0 && errno != EINTR) { break }
            if ContinuousClock.now > deadline { _ = Glibc.kill(pid, SIGKILL) }
            usleep(500)
        }
        reaped.withLock { $0 = true }
        let signal = code & 0x7F
        var text =
            signal != 0 ? "signal \(signal), \(String(cString: strsignal(signal)))" : "exit status \(code >> 8 & 0xFF)"
        if let words = lastLine() { text += ": " + words }
        status.withLock { $0 = text }
        return text
    }

    /// Starts a worker that decodes nothing and returns what it reports of itself.
    static func sandbox() throws -> Sandbox.State {
        let nothing = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard nothing >= 0 else { throw MediaError.limit("/dev/null cannot be opened", errno) }
        defer { close(nothing) }
        let worker = try WorkerProcess(file: nothing, request: FrameRequest(output: .sandbox)) { false }
        guard let message = try worker.readHeader(timeout: 60) else { throw worker.died() }
        switch message.kind {
        case .sandbox: return try worker.readJSON(Sandbox.State.self, message, timeout: 60)
        case .failure:
            let failure = try worker.readJSON(WorkerFailure.self, message, timeout: 60)
            throw MediaError(code: failure.code, message: failure.message)
        default: throw MediaError.worker("a message that was not asked for")
        }
    }

    /// What its death says: of the file, or of a limit of this process that it inherited.
    func died() -> MediaError {
        let how = wait()
        var limits = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limits) == 0, limits.rlim_cur < UInt(needsMemory)
        else {
            return .crashed(how)
        }
        return .tooLittleMemory(how, limit: limits.rlim_cur, needed: needsMemory)
    }

    /// The last line of what the worker wrote to standard error, without anything that could command a terminal.
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

    /// nil when the pipe has ended.
    func readHeader(timeout: Double) throws -> WorkerMessage? {
        try withUnsafeTemporaryAllocation(byteCount: WorkerMessage.headerBytes, alignment: 8) { raw in
            guard try fill(raw, timeout: timeout, endAllowed: true) else { return nil }
            guard let message = WorkerMessage(UnsafeRawBufferPointer(raw)) else {
                throw MediaError.worker("a message that is none")
            }
            return message
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, timeout: Double) throws {
        _ = try fill(buffer, timeout: timeout, endAllowed: false)
    }

    func readJSON<Value: Decodable>(_ type: Value.Type, _ message: WorkerMessage, timeout: Double) throws -> Value {
        guard message.payload <= WorkerMessage.maxJSON else {
            throw MediaError.worker("a message of \(message.payload) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: message.payload)
        try bytes.withUnsafeMutableBytes { try read(into: $0, timeout: timeout) }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        do {
            return try decoder.decode(type, from: Data(bytes))
        } catch {
            throw MediaError.worker("a message that is none")
        }
    }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer, timeout: Double, endAllowed: Bool) throws -> Bool {
        guard let base = buffer.baseAddress else { return true }
        let limit = min(max(timeout, 0.01), 86_400)
        // Time in which this process was stopped (Ctrl-Z) is no time the worker was waited for: the kernel ends a poll that
        // has come to its time meanwhile, and of many short ones that is one.
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
                // Neither is time in which the worker was ready to run and other programs had the CPUs.
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
            let got = Glibc.read(pipe, base + done, buffer.count - done)
            if got < 0, errno == EINTR { continue }
            if got <= 0 {
                if done == 0, endAllowed { return false }
                throw died()
            }
            (done, waited) = (done + got, 0)
        }
        return true
    }
}
