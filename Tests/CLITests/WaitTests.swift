import Foundation
import Glibc
import Testing

/// Whatever the program waits for, the first SIGTERM ends it.
@Suite struct WaitTests {
    /// Holds a lock from when `held` is there until `go` is: on the catalog, or on a file of the cache.
    private func hold(_ script: String, _ tool: Tool, _ path: String) throws -> Child {
        let child = try Child(
            tool, program: "/usr/bin/env",
            [
                "python3", "-c",
                """
                import fcntl, os, sqlite3, sys, time
                path, folder = sys.argv[1:]
                \(script)
                open(folder + '/held', 'w').close()
                while os.path.exists(folder) and not os.path.exists(folder + '/go'): time.sleep(0.02)
                """, path, tool.folder.path,
            ])
        try child.wait("the lock") { tool.exists("held") }
        return child
    }

    /// Whether the child has come to where it opens `file`, and has its handlers.
    private func has(_ child: Child, open file: String) -> Bool {
        let folder = "/proc/\(child.pid)/fd"
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return catches(child)
            && numbers.contains {
                (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + $0)) == file
            }
    }

    private func catches(_ child: Child) -> Bool {
        let status = (try? String(contentsOfFile: "/proc/\(child.pid)/status", encoding: .utf8)) ?? ""
        let mask = status.firstMatch(of: /SigCgt:\s*([0-9a-f]+)/).flatMap { UInt64($0.1, radix: 16) } ?? 0
        return mask & 1 << (UInt64(SIGTERM) - 1) != 0
    }

    private static let database = """
        db = sqlite3.connect(path, isolation_level=None)
        db.execute('PRAGMA locking_mode = EXCLUSIVE')
        db.execute('BEGIN EXCLUSIVE')
        db.execute("INSERT INTO job VALUES ('x', 'x', 'x', 'x', 'x', NULL, NULL)")
        """

    @Test func `for the catalog`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        try #require(try tool.run("index", video).status == 0)
        let path = tool.path("data/catalog.sqlite")
        let holder = try hold(Self.database, tool, path)
        for command in [
            ["ls"], ["rm", video, "--yes"], ["index", video], ["ask", video, "What?"], ["cache", "repair"],
        ] {
            let child = try Child(tool, program: Tool.executable.path, command)
            try child.wait("the catalog") { has(child, open: path) }
            child.send(SIGTERM)
            let ended = child.end()
            #expect(ended.status == 143, "\(command): \(ended.status) \(ended.errors)")
            #expect(holder.process.isRunning)
        }
        tool.make("go")
        #expect(holder.end().status == 0)
        try tool.verify()
    }

    @Test func `for who makes room in the cache`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try #require(try tool.run("index", try Fixtures.video.get()).status == 0)
        let path = tool.path("cache/.budget")
        let holder = try hold("lock = open(path, 'w'); fcntl.flock(lock, fcntl.LOCK_EX)", tool, path)
        for command in [["cache", "prune", "--max", "1K", "--yes"], ["cache", "repair"]] {
            let child = try Child(tool, program: Tool.executable.path, command)
            try child.wait("the lock") { has(child, open: path) }
            child.send(SIGTERM)
            let ended = child.end(limit: 30)
            #expect(ended.status == 143, "\(command): \(ended.status) \(ended.errors)")
        }
        tool.make("go")
        #expect(holder.end().status == 0)
    }

    @Test(arguments: [["index", "--files-from"], ["ask", "VIDEO", "--questions"], ["run"]])
    func `for a writer of a named pipe`(words: [String]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let path = tool.path("pipe")
        try #require(mkfifo(path, 0o600) == 0)
        let video = try Fixtures.video.get()
        let child = try Child(
            tool, program: Tool.executable.path, words.map { $0 == "VIDEO" ? video : $0 } + [path])
        try child.wait("the pipe") { has(child, open: path) }
        child.send(SIGTERM)
        let ended = child.end()
        #expect(ended.status == 143, "\(ended.status) \(ended.errors)")
    }

    @Test(arguments: [["help", "ask"], ["index", "VIDEO", "--json"]])
    func `for a reader of what it prints`(words: [String]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let fill = """
            import os
            os.set_blocking(3, False)
            try:
                while True: os.write(3, bytes(4096))
            except BlockingIOError: pass
            os.set_blocking(3, True)
            """
        let child = try Child(
            tool, shell: "mkfifo full; exec 3<>full; python3 -c '\(fill)'; exec \"$0\" \"$@\" >&3 3>&-",
            words.map { $0 == "VIDEO" ? video : $0 })
        try child.wait("the program") { catches(child) && child.isProgram }
        child.send(SIGTERM)
        let ended = child.end()
        #expect(ended.status == 143, "\(ended.status) \(ended.errors)")
    }
}

extension Child {
    /// Whether the shell has become the program.
    fileprivate var isProgram: Bool {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/exe")) == Tool.executable.path
    }
}
