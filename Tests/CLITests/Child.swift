import Foundation
import Glibc
import Testing

/// The program as a child whose end is waited for no longer than a test may take; what it says goes to files, so that it
/// never waits for a reader.
struct Child {
    let process: Process
    private let outputPath: String
    private let errorsPath: String

    var pid: pid_t { process.processIdentifier }
    var output: Data { (try? Data(contentsOf: URL(filePath: outputPath))) ?? Data() }
    var errors: String {
        String(decoding: (try? Data(contentsOf: URL(filePath: errorsPath))) ?? Data(), as: UTF8.self)
    }

    /// "R", "S", "T" …, as the kernel has it.
    var state: Character? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        return text[(text.lastIndex(of: ")") ?? text.startIndex)...].dropFirst(2).first
    }

    /// `signals` is what env(1) does with them.
    init(_ tool: Tool, signals: [String] = ["--default-signal"], program: String, _ arguments: [String]) throws {
        let name = UUID().uuidString
        (outputPath, errorsPath) = (tool.path("out-" + name), tool.path("err-" + name))
        for path in [outputPath, errorsPath] {
            try #require(FileManager.default.createFile(atPath: path, contents: nil))
        }
        process = Process()
        // A thread of the tests may have signals blocked, and who runs them may ignore SIGHUP: children would inherit it.
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = signals + [program] + arguments
        process.environment = tool.environment
        process.currentDirectoryURL = tool.folder
        process.standardOutput = try FileHandle(forWritingTo: URL(filePath: outputPath))
        process.standardError = try FileHandle(forWritingTo: URL(filePath: errorsPath))
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    /// The program itself.
    init(_ tool: Tool, _ arguments: String...) throws {
        try self.init(tool, program: Tool.executable.path, arguments)
    }

    /// A script, with the program as `$0` and the arguments as `$1` …
    init(_ tool: Tool, shell script: String, _ arguments: [String] = []) throws {
        try self.init(tool, program: "/bin/sh", ["-c", script, Tool.executable.path] + arguments)
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Waits until the program has blocked SIGUSR1: the signal ends a process whose program has not yet started.
    func waitForStatusSignal() throws { try Self.waitForStatusSignal(process) }

    /// Waits until the program of this process has blocked SIGUSR1.
    static func waitForStatusSignal(_ process: Process) throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            let status = try? String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
            let line = status?.split(separator: "\n").first { $0.hasPrefix("SigBlk:") }
            let mask = line.flatMap { UInt64($0.split(separator: "\t").last ?? "", radix: 16) } ?? 0
            // Before it is the program, it is env(1), and a copy of this process that has all signals blocked.
            let program = try? FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/\(process.processIdentifier)/exe")
            if program?.hasSuffix("/longtake") == true, mask >> UInt64(SIGUSR1 - 1) & 1 == 1 { return }
            try #require(process.isRunning && ContinuousClock.now < deadline, "SIGUSR1 is not blocked")
            usleep(2000)
        }
    }

    /// Waits for the end; who is not through after `limit` seconds is killed, and the status is 256 + 9.
    func end(limit: Double = 60) -> Tool.Result {
        let deadline = ContinuousClock.now + .seconds(limit)
        while process.isRunning, ContinuousClock.now < deadline { usleep(5000) }
        if process.isRunning {
            // One that is stopped, too.
            send(SIGKILL)
            Issue.record("not through after \(limit) s: \(errors)")
        }
        process.waitUntilExit()
        let status =
            process.terminationReason == .uncaughtSignal ? 256 + process.terminationStatus : process.terminationStatus
        return Tool.Result(status: status, output: output, errors: errors)
    }

    /// Waits until something is so, or the child has ended.
    func wait(limit: Double = 60, _ what: String = "", until isSo: () -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(limit)
        while !isSo() {
            try #require(process.isRunning, "ended before \(what): \(errors)")
            try #require(ContinuousClock.now < deadline, "no \(what) after \(limit) s")
            usleep(5000)
        }
    }
}

extension Tool {
    /// 1320 frames of `Fixtures.video`: two whole segments and a short one.
    static let dense = ["--fps", "110"]

    /// Recordings are decoded by `script` (bash), whose `$@` are the worker's arguments and `$LONGTAKE` the program.
    mutating func decode(by script: String) throws {
        let path = path("worker-\(UUID().uuidString)")
        try Data("#!/bin/bash\nLONGTAKE='\(Self.executable.path)'\n\(script)\n".utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        environment["LONGTAKE_WORKER"] = path
    }

    /// Only the first `frames` frames come before the file `go` is there.
    mutating func decodeSlowly(after frames: Int) throws {
        let valve = path("valve.py")
        // Frames of 84 × 84 pixels behind heads of 64 bytes.
        try Data(
            """
            import os, sys, time
            left, parent = \(frames) * (84 * 84 * 3 + 64), os.getppid()
            while True:
                bytes = os.read(0, 1 << 16 if left is None else max(1, min(left, 1 << 16)))
                if not bytes: break
                if left is not None:
                    left -= len(bytes)
                    if left <= 0:
                        left = None
                        open('\(path("waiting"))', 'w').close()
                        while not os.path.exists('\(path("go"))'):
                            if os.getppid() != parent: sys.exit()
                            time.sleep(0.01)
                while bytes: bytes = bytes[os.write(1, bytes):]
            """.utf8
        ).write(to: URL(filePath: valve))
        // The worker keeps the process that was started: it looks at who its parent is.
        try decode(
            by:
                "printf %s $$ >'\(path("worker.pid"))'\nexec 4> >(exec python3 '\(valve)' >&4)\nexec \"$LONGTAKE\" \"$@\""
        )
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }
    func make(_ name: String) { _ = FileManager.default.createFile(atPath: path(name), contents: nil) }

    /// The files of the one index there is.
    func onlyIndex() throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: path("cache/indexes"))
        try #require(names.count == 1, "\(names)")
        return try indexFiles(path("cache/indexes/" + names[0]))
    }

    /// Nothing in the cache is damaged, to the last byte.
    func verify() throws {
        let result = try run("cache", "verify", "--read-data", "--json")
        #expect(result.status == 0, "\(result.text) \(result.errors)")
    }
}

extension Tool.Result {
    func summary() throws -> [String: Any] {
        try #require(try lines().last { $0["message_type"] as? String == "summary" }, "\(text) \(errors)")
    }

    /// What became of each file: new, resumed, unchanged, skipped, stopped.
    func actions() throws -> [String] {
        try lines().filter { $0["message_type"] as? String == "verbose_status" }.compactMap { $0["action"] as? String }
    }
}

extension Fixtures {
    /// The files of an index of `video` at `Tool.dense`, made in one go.
    static let wholeIndex: Swift.Result<[String: Data], any Error> = Swift.Result {
        let tool = try Tool()
        defer { tool.remove() }
        try #require(try tool.run(["index", video.get(), "--quiet"] + Tool.dense).status == 0)
        return try tool.onlyIndex()
    }
}

/// Two indexes have the same files with the same bytes.
func expectEqual(_ found: [String: Data], _ wanted: [String: Data]) {
    #expect(Set(found.keys) == Set(wanted.keys))
    for (name, data) in wanted { #expect(found[name] == data, "\(name) differs") }
}
