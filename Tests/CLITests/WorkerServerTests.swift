import Foundation
import Glibc
import Testing

/// The process that decode workers are forked from.
@Suite struct WorkerServerTests {
    private static let hasTracer = access("/usr/bin/strace", X_OK) == 0

    /// `count` recordings in `in`, all different.
    private static func recordings(_ count: Int, _ tool: Tool) throws {
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for number in 1...count {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=64x\(46 + 2 * number):rate=5:duration=3", "-c:v", "mpeg4",
                tool.path("in/\(number).mkv"))
        }
    }

    /// IDs of processes whose command line says that they serve `parent`, and of their children.
    static func processes(of parent: pid_t) -> (servers: [pid_t], workers: [pid_t]) {
        var parents: [pid_t: pid_t] = [:]
        var servers: [pid_t] = []
        for name in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = pid_t(name), let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
                let line = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)
            else { continue }
            let words = status[(status.lastIndex(of: ")") ?? status.startIndex)...].split(separator: " ")
            // Z: ended, and not yet waited for.
            guard words.count > 2, words[1] != "Z", let above = pid_t(words[2]) else { continue }
            parents[pid] = above
            let arguments = line.split(separator: "\0")
            if arguments.dropFirst() == ["decode-worker", "serve", "\(parent)"], above == parent {
                servers.append(pid)
            }
        }
        return (servers, parents.filter { servers.contains($0.value) }.map(\.key))
    }

    /// Waits until none of the processes runs any more.
    static func waitForEnd(of processes: [pid_t]) throws {
        let deadline = ContinuousClock.now + .seconds(30)
        for process in processes {
            while let status = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
                !status[(status.lastIndex(of: ")") ?? status.startIndex)...].hasPrefix(") Z")
            {
                try #require(ContinuousClock.now < deadline, "process \(process) is still there")
                usleep(5000)
            }
        }
    }

    @Test(.enabled(if: WorkerServerTests.hasTracer, "strace is not installed"))
    func `one program more is started, and each worker reads behind a filter of its own`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_WORKER"] = nil
        try Self.recordings(4, tool)
        let log = tool.path("calls")
        let traced = try Child(
            tool, program: "/usr/bin/strace",
            [
                "-f", "-qq", "-o", log, "-e",
                "trace=execve,fork,vfork,clone,clone3,setsid,prctl,seccomp,close_range,setrlimit,prlimit64,read,pread64",
                Tool.executable.path, "index", tool.path("in"), "--json", "--prefix-cache", "never",
            ]
        ).end(limit: 300)
        #expect(traced.status == 0, "\(traced.errors)")
        #expect(try traced.actions() == ["new", "new", "new", "new"])
        let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
        #expect(lines.count { $0.contains("execve(") } == 2)
        var calls: [Substring: [Substring]] = [:]
        for line in lines {
            let words = line.split(maxSplits: 1, whereSeparator: \.isWhitespace)
            calls[words[0], default: []].append(words[1].drop { $0 == " " })
        }
        // The server has a session of its own, too.
        let workers = calls.values.filter { calls in
            calls.contains { $0.hasPrefix("setsid") } && !calls.contains { $0.hasPrefix("execve(") }
        }
        // One probes a recording, one decodes it.
        #expect(workers.count == 8)
        for worker in workers {
            let first = try #require(worker.firstIndex { $0.hasPrefix("pread64(3") || $0.hasPrefix("read(3") })
            let before = worker[..<first]
            for call in [
                "setsid", "close_range(5", "prctl(PR_SET_PDEATHSIG, SIGKILL", "prctl(PR_SET_NO_NEW_PRIVS, 1",
                "prctl(PR_SET_DUMPABLE, ", "seccomp(SECCOMP_SET_MODE_FILTER",
            ] {
                #expect(before.contains { $0.hasPrefix(call) }, "no \(call) before the recording is read")
            }
            #expect(before.contains { $0.contains("RLIMIT_AS") && $0.contains("4194304*1024") })
        }
    }

    @Test func `the end of the program, however it comes, is the end of all`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_WORKER"] = nil
        for signal in [SIGKILL, SIGTERM] {
            let child = try Child(tool, "index", try Fixtures.video.get(), "--fps", "110", "--force", "--quiet")
            var seen: (servers: [pid_t], workers: [pid_t]) = ([], [])
            try child.wait("a worker") {
                seen = Self.processes(of: child.pid)
                return !seen.workers.isEmpty
            }
            #expect(seen.servers.count == 1)
            child.send(signal)
            #expect(child.end().status != 0)
            try Self.waitForEnd(of: seen.servers + seen.workers)
        }
    }

    @Test func `a server that is killed costs no recording`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_WORKER"] = nil
        try Self.recordings(12, tool)
        let child = try Child(tool, "index", tool.path("in"), "--json", "--prefix-cache", "never")
        var killed: Set<pid_t> = []
        let deadline = ContinuousClock.now + .seconds(120)
        while child.process.isRunning, ContinuousClock.now < deadline {
            let servers = Self.processes(of: child.pid).servers
            if killed.count < 3, let server = servers.first, killed.insert(server).inserted {
                kill(server, SIGKILL)
            }
            usleep(20_000)
        }
        #expect(!killed.isEmpty)
        let ended = child.end()
        // A recording whose decoder dies before its first frame is tried once more, and one that dies later is partial.
        #expect([0, 3].contains(ended.status), "\(ended.errors)")
        try tool.verify()
        let next = try tool.run("index", tool.path("in"), "--json", "--prefix-cache", "never", "--force")
        #expect(next.status == 0, "\(next.errors)")
        let listed = try tool.run("ls", "--json").list()
        #expect(listed.count == 12)
        for index in listed { #expect(index["state"] as? String == "complete", "\(index)") }
        try tool.verify()
    }

    @Test func `a server that says nothing keeps nobody from ending`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_WORKER"] = nil
        try Self.recordings(30, tool)
        let child = try Child(tool, "index", tool.path("in"), "--json", "--prefix-cache", "never")
        var servers: [pid_t] = []
        // One that is stopped before it has asked for its parent's death outlives it.
        try child.wait("a worker") {
            let seen = Self.processes(of: child.pid)
            servers = seen.servers
            return !seen.workers.isEmpty
        }
        for server in servers { kill(server, SIGSTOP) }
        // Long enough for the next worker to be asked for.
        usleep(1_000_000)
        #expect(child.process.isRunning)
        child.send(SIGTERM)
        let ended = child.end(limit: 30)
        #expect(ended.status == 143, "\(ended.errors)")
        try Self.waitForEnd(of: servers)
        try tool.verify()
    }

    @Test func `after a crash no worker has the same address layout`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_WORKER"] = nil
        try Self.recordings(30, tool)
        let child = try Child(tool, "index", tool.path("in"), "--json", "--prefix-cache", "never")
        var (first, crashes): (pid_t?, Int) = (nil, 0)
        var others: Set<pid_t> = []
        let deadline = ContinuousClock.now + .seconds(120)
        while child.process.isRunning, ContinuousClock.now < deadline {
            let (servers, workers) = Self.processes(of: child.pid)
            first = first ?? servers.first
            others.formUnion(servers.filter { $0 != first })
            // One that ends by itself in this moment crashes no more.
            if others.isEmpty, crashes < 10, let worker = workers.first, kill(worker, SIGSEGV) == 0 { crashes += 1 }
            usleep(2000)
        }
        #expect(!others.isEmpty, "\(crashes) crashes")
        let ended = child.end()
        #expect([0, 3].contains(ended.status), "\(ended.errors)")
        try tool.verify()
    }
}
