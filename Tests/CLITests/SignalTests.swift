import Foundation
import Glibc
import Testing

/// Signals at a run that indexes: what is sealed stays, and the next run goes on from there.
@Suite struct SignalTests {
    /// Indexing the dense video; 900 of its 1320 frames have come, or nearly so.
    private func begin(_ tool: inout Tool, _ options: String...) throws -> (Child, video: String) {
        try tool.decodeSlowly(after: 900)
        let video = try Fixtures.video.get()
        let child = try Child(tool, program: Tool.executable.path, ["index", video, "--json"] + Tool.dense + options)
        try child.wait("frames") { tool.exists("waiting") }
        return (child, video)
    }

    @Test(arguments: [SIGTERM, SIGHUP, SIGINT])
    func `a signal seals what there is, and the next run goes on`(signal: Int32) throws {
        let status = 128 + signal
        var tool = try Tool()
        defer { tool.remove() }
        let (child, video) = try begin(&tool)
        child.send(signal)
        // A closed terminal is told of twice, by the kernel and by the shell.
        if signal == SIGHUP { child.send(signal) }
        let ended = child.end()
        #expect(ended.status == status, "\(ended.errors)")
        let said = try ended.exitError()
        #expect(said["code"] as? Int == Int(status))
        #expect(said["error"] as? String == "interrupted")
        // All but what was under way: in the pipe, in the queue, in the batch.
        let kept = try #require((said["message"] as? String)?.firstMatch(of: /(\d+) frames are kept/)?.1)
        #expect((601...1000).contains(Int(kept) ?? 0), "\(kept)")
        try tool.verify()
        #expect(try tool.run("cache", "stats", "--json").object()["unfinished"] as? Int == 1)

        tool.environment["LONGTAKE_WORKER"] = nil
        let next = try tool.run(["index", video, "--json"] + Tool.dense)
        #expect(next.status == 0, "\(next.errors)")
        #expect(try next.actions() == ["resumed"])
        let whole = try #require(try next.lines().compactMap { $0["bytes"] as? Int }.last)
        #expect(try next.summary()["bytes_added"] as? Int ?? .max < whole / 2, "it began anew")
        expectEqual(try tool.onlyIndex(), try Fixtures.wholeIndex.get())
    }

    @Test(arguments: ["--block-signal", "--default-signal", "--ignore-signal=HUP"])
    func `however it was started it can be ended`(signals: String) throws {
        var tool = try Tool()
        defer { tool.remove() }
        try tool.decodeSlowly(after: 5)
        let arguments = ["index", try Fixtures.video.get(), "--quiet"]
        let child = try Child(tool, signals: [signals], program: Tool.executable.path, arguments)
        try child.wait("frames") { tool.exists("waiting") }
        // Who started it with nohup wants it to outlive the terminal.
        if signals == "--ignore-signal=HUP" {
            child.send(SIGHUP)
            usleep(500_000)
            #expect(child.process.isRunning)
        }
        child.send(SIGTERM)
        #expect(child.end().status == 143)
    }

    @Test func `the second one ends at once, and what was sealed is whole`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let (child, video) = try begin(&tool)
        child.send(SIGINT)
        child.send(SIGINT)
        #expect(child.end().status == 130)
        try tool.verify()
        tool.environment["LONGTAKE_WORKER"] = nil
        #expect(try tool.run(["index", video, "--json"] + Tool.dense).status == 0)
        expectEqual(try tool.onlyIndex(), try Fixtures.wholeIndex.get())
    }

    @Test(arguments: [[SIGINT, SIGINT], [SIGTERM]])
    func `a decoder that says nothing keeps nobody from ending`(signals: [Int32]) throws {
        var tool = try Tool()
        defer { tool.remove() }
        try tool.decode(by: "touch '\(tool.path("started"))'; while kill -0 \"$3\"; do sleep 0.1; done 2>/dev/null")
        let child = try Child(tool, "index", try Fixtures.video.get(), "--json", "--watchdog", "1h")
        try child.wait("a worker") { tool.exists("started") }
        for signal in signals { child.send(signal) }
        #expect(child.end().status == 128 + signals[0])
        try tool.verify()
    }

    @Test(arguments: [true, false])
    func `time in which it was stopped is not the decoder's`(alone: Bool) throws {
        var tool = try Tool()
        defer { tool.remove() }
        let (child, _) = try begin(&tool, "--watchdog", "6")
        // The decoder and the valve behind it are a group of their own.
        let worker = try #require(pid_t(try String(contentsOfFile: tool.path("worker.pid"), encoding: .utf8)))
        child.send(alone ? SIGTSTP : SIGSTOP)
        if !alone { kill(-worker, SIGSTOP) }
        try child.wait("stop") { child.state == "T" }
        usleep(7_000_000)
        #expect(child.state == "T")
        child.send(SIGCONT)
        if !alone { kill(-worker, SIGCONT) }
        tool.make("go")
        let ended = child.end()
        #expect(ended.status == 0, "\(ended.errors)")
        #expect(try ended.actions() == ["new"])
        expectEqual(try tool.onlyIndex(), try Fixtures.wholeIndex.get())
    }
}
