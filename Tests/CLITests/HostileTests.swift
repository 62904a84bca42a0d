import Foundation
import Glibc
import Testing

/// What goes on around a recording: killed workers, lying workers, odd clocks, typing errors.
@Suite struct HostileTests {
    private func long(_ tool: Tool) throws -> String {
        let path = tool.path("long.mkv")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=2:duration=300", "-c:v", "mpeg4", "-g", "20", path)
        return path
    }

    /// A worker that runs `script` instead; `$1…$3` are its arguments.
    private func worker(_ tool: inout Tool, _ script: String) throws {
        let path = tool.path("worker")
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        tool.environment["LONGTAKE_WORKER"] = path
    }

    @Test func `a worker that is killed is tried again, and its half of a recording is not all there is`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let video = try long(tool)
        // Each worker lives for a tenth of a second, until the file `stop` is there.
        try worker(
            &tool,
            """
            [ -e '\(tool.path("stop"))' ] || (sleep 0.15; kill -9 $$) 4>&- >/dev/null 2>&1 &
            exec '\(Tool.executable.path)' "$@"
            """)
        let first = try tool.run("index", video, "--json")
        // Killed before a frame came, or after some: 14 or 3, and never "complete".
        #expect([3, 14].contains(first.status), "\(first.text) \(first.errors)")
        _ = FileManager.default.createFile(atPath: tool.path("stop"), contents: nil)
        let second = try tool.run("index", video, "--json")
        #expect(second.status == 0, "\(second.errors)")
        let done = try #require(try second.lines().first { $0["message_type"] as? String == "verbose_status" })
        #expect(done["action"] as? String != "unchanged")
        #expect(done["frames"] as? Int == 300)
        #expect(done["state"] as? String == "complete")
    }

    @Test(arguments: [SIGINT, SIGKILL])
    func `a --force that is ended leaves the index that was there`(signal: Int32) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try long(tool)
        #expect(try tool.run("index", video, "--quiet").status == 0)
        let (process, output, errors) = try tool.start(["index", video, "--force", "--json"])
        usleep(700_000)
        kill(process.processIdentifier, signal)
        _ = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        if signal == SIGINT {
            #expect(process.terminationStatus == 130 || process.terminationStatus == 0, "\(said)")
        }
        let listed = try tool.run("ls", "--json").list()
        #expect(listed.count == 1)
        #expect(listed.first?["state"] as? String == "complete")
        #expect(listed.first?["frames"] as? Int == 300)
        #expect(try tool.run("index", video, "--json").lines().contains { $0["action"] as? String == "unchanged" })
    }

    @Test(arguments: ["exec sleep 60", "printf LTF1 >&4; exec sleep 60", "exec 4>&-; exec sleep 60"])
    func `a worker that hangs is stopped`(script: String) throws {
        var tool = try Tool()
        defer { tool.remove() }
        try worker(&tool, script)
        let result = try tool.run("ask", Fixtures.video.get(), "What?", "--watchdog", "0.5", "--json")
        #expect(result.status == 14, "\(result.errors)")
        let error = try #require(try result.exitError()["error"] as? String)
        #expect(["decoder_stuck", "decoder_crashed"].contains(error))
    }

    static let lies: [(String, String)] = [
        (
            "an endless length",
            #"msg(1, b'{"format":"x","codec":"x","pixel_format":"x","stream":0,"width":1,"height":1,"time_base":[1,1],"duration":1e300}')"#
        ),
        (
            "a negative length",
            #"msg(1, b'{"format":"x","codec":"x","pixel_format":"x","stream":0,"width":1,"height":1,"time_base":[1,1],"duration":-1e300}')"#
        ),
        (
            "a length that is no number",
            #"msg(1, b'{"format":"x","codec":"x","pixel_format":"x","stream":0,"width":1,"height":1,"time_base":[1,1],"duration":"nan"}')"#
        ),
        ("no JSON", "msg(1, b'nonsense')"),
        ("a frame of another size", "msg(2, b'x' * 12, 2, 2, 1)"),
        ("more pictures than asked for", "msg(2, b'x' * 84 * 84 * 3 * 2, 84, 84, 2)"),
        (
            "a payload of 4 GiB",
            "os.write(4, struct.pack('<IIIIIIQdqdQ', 0x3146544C, 2, 0xFFFFFFFF, 84, 84, 1, 0, 0.0, 0, 0.0, 0))"
        ),
        ("a frame of another time", "msg(2, b'x' * 84 * 84 * 3, 84, 84, 1, index=0, grid=7.0)"),
        ("a frame too far", "msg(2, b'x' * 84 * 84 * 3, 84, 84, 1, index=5, grid=5.0)"),
        ("another magic", "os.write(4, b'\\0' * 64)"), ("half a header", "os.write(4, b'LTF1')"), ("nothing", "pass"),
    ]

    @Test(arguments: lies)
    func `nothing that a worker says is believed`(name: String, script: String) throws {
        var tool = try Tool()
        defer { tool.remove() }
        try Data(
            """
            import os, struct
            def msg(kind, payload, width=0, height=0, parts=0, index=0, grid=0.0):
                os.write(4, struct.pack('<IIIIIIQdqdQ', 0x3146544C, kind, len(payload), width, height, parts, index, grid, 0, 0.0, 0))
                os.write(4, payload)
            \(script)
            """.utf8
        ).write(to: URL(filePath: tool.path("lies.py")))
        try worker(&tool, "exec python3 '\(tool.path("lies.py"))'")
        let result = try tool.run("index", Fixtures.video.get(), "--json")
        #expect([1, 14].contains(result.status), "\(name): \(result.status) \(result.text) \(result.errors)")
        #expect(try tool.run("ls", "--json").list().isEmpty)
        let picture = tool.path("p.png")
        try Fixtures.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=84x84:duration=1:rate=1", "-frames:v", "1", picture)
        let asked = try tool.run("ask", "--image", picture, "What?", "--max-tokens", "1")
        #expect(asked.status < 128, "\(name): \(asked.errors)")
    }

    @Test func `clocks beyond numbers do not stop a batch`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let files = FileManager.default
        try files.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for (number, name) in ["a.mp4", "b.mkv"].enumerated() {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=64x\(48 + 2 * number):rate=5:duration=1", "-c:v", "mpeg4",
                tool.path("in/" + name))
        }
        try Fixtures.execute("/usr/bin/env", ["touch", "-d", "2300-01-01", tool.path("in/a.mp4")])
        try Fixtures.execute("/usr/bin/env", ["touch", "-d", "1960-01-01", tool.path("in/b.mkv")])
        let result = try tool.run("index", tool.path("in"), "--json")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.lines().last?["files_new"] as? Int == 2)
        #expect(try tool.run("index", tool.path("in"), "--json").lines().last?["files_unmodified"] as? Int == 2)
    }

    @Test func `sound that is longer than the picture cuts nothing off`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let path = tool.path("sound.mkv")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=4", "-f", "lavfi", "-i", "sine=duration=20",
            "-c:v",
            "mpeg4", "-c:a", "pcm_s16le", path)
        let result = try tool.run("index", path, "--json")
        #expect(result.status == 0, "\(result.text)")
        #expect(try result.lines().contains { $0["frames"] as? Int == 4 && $0["state"] as? String == "complete" })
    }

    @Test(arguments: [
        (["ask", "-dash.mp4", "What?"], "./-dash.mp4"), (["ask", "VIDEO", "-who?"], "--"),
        (["indx", "."], "did you mean index"),
        (["frames", "VIDEO", "--out", "VIDEO"], "cannot create the folder"),
        (["ask", "--image", "VIDEO", "What?", "--from", "3"], "no times"),
    ])
    func `typing errors are told as such`(arguments: [String], word: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let result = try tool.run(arguments.map { $0 == "VIDEO" ? video : $0 })
        #expect(result.status == (arguments[0] == "frames" ? 13 : 64))
        #expect(result.output.isEmpty)
        #expect(result.errors.contains(word), "\(result.errors)")
    }

    @Test func `pictures of an earlier run are not taken for this one's`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        #expect(try tool.run("frames", video, "--out", tool.path("f")).status == 0)
        let refused = try tool.run("frames", video, "--out", tool.path("f"), "--fps", "0.25")
        #expect(refused.status == 64)
        #expect(refused.errors.contains("--overwrite"))
        #expect(try tool.run("frames", video, "--out", tool.path("f"), "--fps", "0.25", "--overwrite").status == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: tool.path("f")).count == 4)
    }

    @Test func `a copy is known by its own path too`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: tool.path("copy.mp4"))
        #expect(try tool.run("index", Fixtures.video.get(), tool.path("copy.mp4")).status == 0)
        #expect(try tool.run("show", "copy.mp4", "--quiet").text.hasPrefix("vid_"))
        #expect(try tool.run("rm", "copy.mp4", Fixtures.video.get(), "--yes").status == 0)
        #expect(try tool.run("ls", "--json").list().isEmpty)
    }
}
