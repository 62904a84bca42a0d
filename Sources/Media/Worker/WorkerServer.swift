import CSeccomp
import Foundation
import Glibc

/// The process from which decode workers are forked: `longtake decode-worker serve PARENT`.
///
/// Loading FFmpeg's libraries and Foundation takes most of the time in which a worker starts; this process does it once. It
/// reads no recording. A forked worker enters the sandbox as one that was started by itself does.
enum WorkerServer {
    /// Stands in the place of the request.
    static let request = "serve"
    static let socketDescriptor: Int32 = 3
    /// Most bytes of a request; a longer one gets a worker of its own.
    static let mostRequestBytes = 100_000

    /// What precedes the request in a message to the server.
    struct Header: BitwiseCopyable {
        /// The client's number for it.
        var request: Int64
        /// How many descriptors come with it.
        var descriptors: Int64
    }

    /// What the server says.
    struct Message: BitwiseCopyable {
        enum Kind: Int64 {
            /// Workers can be forked.
            case ready
            case started, ended
        }

        var kind: Int64
        /// The number that the request had.
        var request: Int64 = 0
        /// The process; less than 0: the negative error number for which there is none.
        var pid: Int64 = 0
        /// As `waitpid` gives it.
        var status: Int64 = 0
        var peakBytes: Int64 = 0
        var cpuMicroseconds: Int64 = 0

        init(_ kind: Kind = .ready) { self.kind = kind.rawValue }
    }

    private struct Child {
        let pid: pid_t
        let pidfd: Int32
        let request: Int64
    }

    /// Serves until the client closes the socket; returns the exit status.
    static func main(parent: Int32) -> Int32 {
        _ = lt_die_with_parent()
        guard getppid() == parent else { return 1 }
        signal(SIGPIPE, SIG_IGN)
        // Who started the program may ignore it, and then no worker could be waited for.
        signal(SIGCHLD, SIG_DFL)
        _ = lt_no_new_privileges()
        guard prepare(), send(Message(.ready)) else { return 1 }
        let own = getpid()
        var children: [Child] = []
        var buffer = [UInt8](repeating: 0, count: MemoryLayout<Header>.size + mostRequestBytes)
        while true {
            var waiting = [pollfd(fd: socketDescriptor, events: Int16(POLLIN), revents: 0)]
            waiting += children.map { pollfd(fd: $0.pidfd, events: Int16(POLLIN), revents: 0) }
            guard poll(&waiting, nfds_t(waiting.count), -1) >= 0 || errno == EINTR else { return 1 }
            // Backwards, so that the positions before stay.
            for index in children.indices.reversed() where waiting[index + 1].revents != 0 {
                guard report(children.remove(at: index)) else { return 1 }
            }
            guard waiting[0].revents != 0 else { continue }
            var given = [Int32](repeating: -1, count: Int(LT_MOST_DESCRIPTORS))
            var number: Int32 = 0
            let count = lt_receive_descriptors(socketDescriptor, &buffer, buffer.count, &given, &number)
            guard count > MemoryLayout<Header>.size else { return count == 0 ? 0 : 1 }
            given.removeLast(given.count - Int(number))
            let header = buffer.withUnsafeBytes { $0.loadUnaligned(as: Header.self) }
            // Fewer arrive where this process may open no more.
            let isWhole = Int(header.descriptors) == given.count && given.count >= 3
            let pid = isWhole ? lt_fork() : -1
            let failure = isWhole ? errno : EMFILE
            if pid == 0 {
                let json = String(decoding: buffer[MemoryLayout<Header>.size..<count], as: UTF8.self)
                _exit(become(json, given, server: own))
            }
            for descriptor in given { close(descriptor) }
            // Not to be seen by later workers.
            for index in 0..<count { buffer[index] = 0 }
            var message = Message(.started)
            (message.request, message.pid) = (header.request, pid < 0 ? -Int64(failure) : Int64(pid))
            let pidfd = pid < 0 ? -1 : lt_pidfd_open(pid)
            // It may have begun to write, so there is no other answer than this process's end.
            guard pid < 0 || pidfd >= 0, send(message, pidfd) else { return 1 }
            if pidfd >= 0 { children.append(Child(pid: pid, pidfd: pidfd, request: header.request)) }
        }
    }

    /// Loads what every worker needs; false if workers cannot be forked here.
    private static func prepare() -> Bool {
        if MediaLibraries.missing == nil, let json = try? JSONEncoder().encode(FrameRequest(output: .native)) {
            _ = try? JSONDecoder().decode(FrameRequest.self, from: json)
            _ = try? JSONEncoder().encode(RecordingInfo())
        }
        // Linux 5.3 and later, unless a container forbids it.
        let pidfd = lt_pidfd_open(getpid())
        guard pidfd >= 0 else { return false }
        defer { close(pidfd) }
        // A fork has one thread, whatever the others held.
        let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")
        return lt_pidfd_signal(pidfd, 0) == 0 && threads?.count == 1
    }

    /// The forked process: the descriptors of a worker, and its work. Returns the exit status.
    private static func become(_ json: String, _ given: [Int32], server: pid_t) -> Int32 {
        setsid()
        // Above all that they are to be: dup2 must not close one that is still needed.
        let moved = given.map { fcntl($0, F_DUPFD, DecodeWorker.clipDescriptor + 1) }
        guard moved.allSatisfy({ $0 >= 0 }) else { return 1 }
        for (from, to) in zip(moved, DecodeWorker.descriptors) { dup2(from, to) }
        let first = (DecodeWorker.descriptors.prefix(given.count).max() ?? STDERR_FILENO) + 1
        if lt_close_from(first) != 0 {
            for descriptor in first..<1024 { close(descriptor) }
        }
        return DecodeWorker.main(request: json, parent: server)
    }

    private static func report(_ child: Child) -> Bool {
        var (status, usage): (Int32, rusage) = (0, rusage())
        while wait4(child.pid, &status, 0, &usage) < 0, errno == EINTR {}
        close(child.pidfd)
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        var message = Message(.ended)
        (message.request, message.pid, message.status) = (child.request, Int64(child.pid), Int64(status))
        message.peakBytes = Int64(usage.ru_maxrss) * 1024
        message.cpuMicroseconds = Int64(seconds) * 1_000_000 + Int64(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
        return send(message)
    }

    private static func send(_ message: Message, _ descriptor: Int32 = -1) -> Bool {
        var descriptor = descriptor
        return withUnsafeBytes(of: message) {
            lt_send_descriptors(socketDescriptor, $0.baseAddress, $0.count, &descriptor, descriptor < 0 ? 0 : 1) == 0
        }
    }
}
