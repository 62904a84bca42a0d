import Glibc
import SystemCalls

/// The system's `tar` as a child process, connected by a socket to its standard input or output.
///
/// A socket, not a pipe: it can be created close-on-exec in one call, and `send` raises no SIGPIPE. The child has a
/// process group of its own: Ctrl-C reaches this process, which decides what becomes of the child.
final class TarProcess {
    /// Which of tar's streams the socket is.
    enum Stream { case input, output }

    /// Bytes of tar's standard error that are read; tar never blocks on it.
    private static let errorLimit = 4096

    /// This process's end of the socket.
    let socket: Int32
    private let errors: Int32
    private let pid: pid_t
    private var isReaped = false

    /// Starts tar; throws `StoreError` `.io` if that is not possible.
    init(_ arguments: [String], _ stream: Stream) throws {
        var opened: [Int32] = []
        var kept: [Int32] = []
        defer { for descriptor in opened where !kept.contains(descriptor) { close(descriptor) } }
        func pair() throws -> (own: Int32, child: Int32) {
            var ends: [Int32] = [-1, -1]
            let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
            guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw StoreError.noTar(.last) }
            opened += ends
            // Above the numbers that the child gets: dup2 of a descriptor onto itself would keep close-on-exec.
            let child = fcntl(ends[1], F_DUPFD_CLOEXEC, 10)
            guard child >= 0 else { throw StoreError.noTar(.last) }
            opened.append(child)
            return (ends[0], child)
        }
        let data = try pair()
        let notes = try pair()
        for end in [notes.own, notes.child] { _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK) }

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, data.child, stream == .input ? 0 : 1)
        posix_spawn_file_actions_adddup2(&actions, notes.child, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The child would inherit blocked and ignored signals.
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        var argv: [UnsafeMutablePointer<CChar>?] = (["tar"] + arguments).map { strdup($0) } + [nil]
        // Without TAR_OPTIONS and POSIXLY_CORRECT, and with messages in English.
        var envp: [UnsafeMutablePointer<CChar>?] = [strdup("LC_ALL=C"), nil]
        defer { (argv + envp).forEach { free($0) } }
        var child: pid_t = 0
        // A worker that an engine starts may have no PATH.
        let program: String = ["/usr/bin/tar", "/bin/tar"].first { (path: String) in access(path, X_OK) == 0 } ?? "tar"
        let failure = posix_spawnp(&child, program, &actions, &attributes, &argv, &envp)
        guard failure == 0 else { throw StoreError.noTar(SystemError(failure)) }
        kept = [data.own, notes.own]
        (socket, errors, pid) = (data.own, notes.own, child)
    }

    deinit {
        if !isReaped {
            kill(pid, SIGKILL)
            _ = reap()
        }
        close(socket)
        close(errors)
    }

    /// Sends all of `bytes` to tar; returns false if tar has ended.
    func send(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let sent = Glibc.send(socket, rest.baseAddress, rest.count, Int32(MSG_NOSIGNAL))
            if sent < 0, errno == EINTR { continue }
            guard sent > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[sent...])
        }
        return true
    }

    /// Waits for tar's end; returns what it printed if it failed, nil if it succeeded.
    func finish() -> String? {
        shutdown(socket, Int32(SHUT_WR))
        let code = reap()
        guard code != 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: Self.errorLimit)
        let got = (try? bytes.withUnsafeMutableBytes { try SystemCall.read(errors, $0) }) ?? 0
        if got > 0 { return String(decoding: bytes.prefix(got), as: UTF8.self) }
        guard let code else { return "tar: its exit status is unknown" }
        let signal = code & 0x7F
        return signal != 0 ? "tar: signal \(signal)" : "tar: exit status \(code >> 8 & 0xFF)"
    }

    /// Waits for the child; returns its status, nil if it is unknown (a process that ignores SIGCHLD gets none).
    private func reap() -> Int32? {
        var code: Int32 = 0
        while true {
            let ended = waitpid(pid, &code, 0)
            if ended < 0, errno == EINTR { continue }
            isReaped = true
            return ended == pid ? code : nil
        }
    }
}
