import Foundation
import Testing

/// The time left for all files, on a terminal and in JSON.
@Suite struct ForecastTests {
    /// Two recordings, of which the first is decoded slowly enough to see its progress.
    private func tool() throws -> Tool {
        var tool = try Tool()
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for (name, seconds) in [("a.mkv", 70), ("b.mkv", 9)] {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=2:duration=\(seconds)", "-metadata", "title=\(name)",
                "-c:v",
                "mpeg4", tool.path("in/" + name))
        }
        let yaml = "version: 1\ninputs: [in]\norder: path\n"
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        try tool.decodeSlowly(after: 40)
        return tool
    }

    /// Lets the frames through once the line may be drawn again.
    private func go(_ tool: Tool, _ child: Child, after seconds: Double) throws {
        try child.wait("frames") { tool.exists("waiting") }
        Thread.sleep(forTimeInterval: seconds)
        tool.make("go")
    }

    @Test(arguments: [["index", "in"], ["run", "p.yaml"]])
    func `a terminal shows how long all files take`(arguments: [String]) throws {
        let tool = try tool()
        defer { tool.remove() }
        let script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
        let child = try Child(
            tool, program: "/usr/bin/env", ["TERM=xterm", "python3", "-c", script, Tool.executable.path] + arguments)
        // The line is drawn at most every 200 ms.
        try go(tool, child, after: 0.5)
        let result = child.end(limit: 240)
        #expect(result.status == 0, "\(result.text) \(result.errors)")
        let line = #/\[1/2, [0-9]+:[0-9]{2}:[0-9]{2} left\] a\.mkv: [0-9]+ of 70 frames, /#
        #expect(result.text.contains(line), "\(result.text)")
    }

    @Test(arguments: [["index", "in"], ["run", "p.yaml"]])
    func `JSON has the time of all files beside that of the current one`(arguments: [String]) throws {
        let tool = try tool()
        defer { tool.remove() }
        let child = try Child(tool, program: Tool.executable.path, arguments + ["--json"])
        // A status comes at most every 2 s.
        try go(tool, child, after: 2.2)
        let result = child.end(limit: 240)
        #expect(result.status == 0, "\(result.errors)")
        let status = try #require(try result.lines().first { $0["message_type"] as? String == "status" })
        let own = try #require(status["seconds_remaining"] as? Double)
        let all = try #require(status["seconds_remaining_all"] as? Double)
        #expect((status["current_files"] as? [String])?.first?.hasSuffix("a.mkv") == true)
        #expect(all > own && own > 0, "\(status)")
    }
}
