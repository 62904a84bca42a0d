import Foundation
import Testing

@Suite struct CommandTests {
    static let commands: [[String]] = [
        [], ["ask"], ["chat"], ["search"], ["export"], ["index"], ["ls"], ["show"], ["rm"], ["frames"], ["run"],
        ["doctor"], ["model"],
        ["model", "inspect"], ["model", "pull"], ["model", "ls"], ["model", "rm"], ["model", "verify"],
        ["model", "parity"], ["model", "tokenize"], ["model", "embed"], ["model", "make-random"],
        ["model", "quantize"], ["model", "convert"], ["model", "check"], ["model", "perplexity"], ["cache"],
        ["cache", "stats"], ["cache", "verify"], ["cache", "prune"], ["cache", "repair"], ["bench"],
        ["bench", "records"],
        ["bench", "fusion"], ["bench", "search"], ["bench", "frame-path"], ["bench", "prefill"],
        ["bench", "decode-token"],
        ["bench", "video-decode"], ["bench", "ask"], ["bench", "headline"],
    ]

    @Test(arguments: commands)
    func `help leads with an example`(command: [String]) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.run(command + ["--help"])
        #expect(result.status == 0)
        let example = try #require(result.text.range(of: "EXAMPLE"))
        let usage = try #require(result.text.range(of: "USAGE"))
        #expect(example.lowerBound < usage.lowerBound)
        #expect(result.text[example.upperBound..<usage.lowerBound].contains("longtake "))
    }

    @Test func `the version, completions, and the hidden command`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        #expect(
            try tool.run("--version").text.range(
                of: #"^\d+\.\d+\.\d+( \([0-9a-f]{12}\+?\))?\n$"#, options: .regularExpression) != nil)
        for shell in ["bash", "zsh", "fish"] {
            let script = try tool.run("--generate-completion-script", shell)
            #expect(script.status == 0)
            #expect(script.text.contains("longtake"))
        }
        #expect(try !tool.run("--help").text.contains("decode-worker"))
    }

    @Test(arguments: [
        (["ask"], 64), (["index"], 64), (["nonsense"], 64), (["ask", "VIDEO", "What?", "--fusion", "some"], 64),
        (["ask", "VIDEO", "What?", "--max-tokens", "0"], 64), (["ask", "VIDEO", "What?", "--from", "-3"], 64),
        (["ask", "VIDEO", "What?", "--temperature", "nan"], 64), (["index", "VIDEO", "--fps", "0"], 64),
        (["index", "VIDEO", "--sampling", "random"], 64), (["index", "VIDEO", "--precision", "f8"], 64),
        (["ask", "vid_0000000000000000", "What?"], 10), (["show", "vid_0000000000000000"], 10),
        (["ask", "/nonexistent.mp4", "What?"], 14), (["index", "/nonexistent.mp4"], 14), (["index", "/dev/zero"], 14),
        (["ask", "VIDEO", "What?", "--model", "/nonexistent"], 12), (["model", "inspect", "/nonexistent"], 12),
        (["model", "pull", "no name"], 64), (["model", "rm", "org/none", "--yes"], 12),
        (["ask", "VIDEO", "What?", "--model", "org/none"], 12), (["run", "/nonexistent.yaml"], 64),
        (["rm", "VIDEO"], 10),
        (["model", "parity", "/nonexistent"], 12),
    ])
    func `exit statuses are the documented ones`(arguments: [String], status: Int) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let result = try tool.run(arguments.map { $0 == "VIDEO" ? video : $0 })
        #expect(result.status == status, "\(result.errors)")
        #expect(!result.errors.isEmpty)
        let json = try tool.run(arguments.map { $0 == "VIDEO" ? video : $0 } + ["--json"])
        #expect(json.status == status)
        if arguments.first != "index" || status == 64 {
            let error = try json.exitError()
            #expect(error["message_type"] as? String == "exit_error")
            #expect(error["code"] as? Int == status)
        }
    }

    @Test func `without a model the message says what to do`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.run("ask", Fixtures.video.get(), "What?")
        #expect(result.status == 12)
        #expect(result.errors.contains("--model"))
        #expect(result.errors.contains("make-random"))
    }

    @Test func `a reader that goes away ends it quietly`() throws {
        // Several at once: they end while libraries are still being prepared on other threads.
        let tools = try (0..<8).map { _ in try Tool() }
        defer { for tool in tools { tool.remove() } }
        let video = try Fixtures.video.get()
        let runs = try tools.map { tool in
            let run = try tool.start(["index", video, "--json"])
            try run.1.fileHandleForReading.close()
            return run
        }
        for (process, _, errors) in runs {
            process.waitUntilExit()
            #expect(process.terminationReason == .exit)
            #expect(process.terminationStatus == 141)
            #expect(errors.fileHandleForReading.readDataToEndOfFile().isEmpty)
        }
    }

    @Test func `frames are PNG files with their times`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let out = tool.path("frames")
        let result = try tool.run(
            "frames", Fixtures.video.get(), "--out", out, "--size", "native", "--fps", "0.5", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let frames = try #require(try result.object()["frames"] as? [[String: Any]])
        #expect(frames.map { $0["grid_time"] as? Double } == [0, 2, 4, 6, 8, 10])
        #expect(frames.map { $0["pts_seconds"] as? Double } == [0, 2, 4, 6, 8, 10])
        #expect(frames.allSatisfy { $0["width"] as? Int == 320 && $0["height"] as? Int == 240 && $0["pts"] is Int })
        let written = try #require(
            try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: out + "/frames.json")))
                as? [String: Any])
        #expect((written["frames"] as? [Any])?.count == 6)
        for frame in frames {
            let file = try Data(contentsOf: URL(filePath: out + "/" + (try #require(frame["file"] as? String))))
            #expect(file.prefix(8) == Data([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]))
        }
        let seen = try tool.run(
            "frames", Fixtures.video.get(), "--out", tool.path("model"), "--sampling", "reference", "--json")
        let pictures = try #require(try seen.object()["frames"] as? [[String: Any]])
        // The middle of each second of 120 frames at 10 per second; the model's tower takes 84 × 84.
        #expect(pictures.count == 12)
        #expect(pictures.first?["width"] as? Int == 84)
        #expect(pictures.first?["pts_seconds"] as? Double != 0)
    }

    @Test func `list, show and remove`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        #expect(try tool.run("ls").status == 0)
        let id = try tool.run("index", video, "--quiet").text.trimmingCharacters(in: .whitespacesAndNewlines)
        #expect(id.hasPrefix("vid_"))
        #expect(try tool.run("ls", "--quiet").text == id + "\n")
        let shown = try tool.run("show", id, "--json").list()
        #expect(shown.first?["frames"] as? Int == 12)
        #expect(try tool.run("show", video).text.contains("complete"))
        let refused = try tool.run("rm", id)
        #expect(refused.status == 64)
        #expect(refused.errors.contains("--yes"))
        #expect(try tool.run("rm", id, "--dry-run").text.contains("would remove"))
        #expect(try tool.run("ls", "--quiet").text == id + "\n")
        #expect(try tool.run("rm", id, "--yes").status == 0)
        #expect(try tool.run("ls", "--quiet").text.isEmpty)
        #expect(FileManager.default.fileExists(atPath: video))
    }

    @Test func `doctor measures every precision there is`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let report = try tool.run("doctor", "--json").object()
        let peaks = try #require(report["peaks"] as? [[String: Any]])
        for precision in ["f32", "bf16"] {
            #expect(
                peaks.contains { $0["precision"] as? String == precision && $0["backend"] as? String == "openblas" })
        }
        #expect(
            peaks.contains { $0["precision"] as? String == "int8" && $0["backend"] as? String == "longtake" })
        #expect(peaks.allSatisfy { $0["gigaflops"] as? Double ?? 0 > 0 })
        #expect((report["libraries"] as? [String: String])?["libavcodec"] != nil)
        // A cache others may write to is a problem with a fix.
        try FileManager.default.createDirectory(atPath: tool.path("open"), withIntermediateDirectories: true)
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: tool.path("open"))
        let open = try tool.run("doctor", "--cache-dir", tool.path("open"), "--json").object()
        #expect(
            (open["problems"] as? [[String: Any]])?.contains { ($0["fix"] as? String)?.contains("chmod") == true }
                == true)
    }

    @Test func `inspect says what a model is and costs`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let inspection = try tool.run("model", "inspect", Fixtures.model.get(), "--json", "--check-tensors").object()
        #expect(inspection["kind"] as? String == "llava_mini")
        let cost = try #require(inspection["cost"] as? [String: Any])
        #expect(cost["parameters"] as? Int ?? 0 > 1_000_000)
        #expect((inspection["non_finite"] as? [Any])?.isEmpty == true)
        #expect(try tool.run("model", "inspect", Fixtures.model.get()).text.contains("per frame"))
    }

    @Test func `a clip below a second has a frame on the grid, and none in the reference's seconds`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let clip = tool.path("short.mp4")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.4", "-c:v", "libx264", clip)
        let grid = try tool.run("frames", clip, "--out", tool.path("grid"), "--json").object()
        #expect((grid["frames"] as? [Any])?.count == 1)
        let reference = try tool.run("frames", clip, "--out", tool.path("none"), "--sampling", "reference", "--json")
        #expect(reference.status == 14)
        #expect(try reference.exitError()["error"] as? String == "clip_too_short")
        #expect(reference.errors.contains("--sampling grid"))
    }

    @Test func `folders that cannot be made end with their path`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try Data("x".utf8).write(to: URL(filePath: tool.path("file")))
        for option in ["--cache-dir", "--data-dir"] {
            let result = try tool.run("ls", option, tool.path("file/folder"))
            #expect(result.status == 13, "\(result.errors)")
            #expect(result.errors.contains("file/folder"))
        }
    }

    @Test func `a recording is known by the path it was typed with`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: tool.path("day.mp4"))
        #expect(try tool.run("index", "day.mp4").status == 0)
        let shown = try tool.run("show", "./day.mp4", "--json").list()
        #expect((shown.first?["path"] as? String)?.hasPrefix("/") == true)
        #expect(try tool.run("show", tool.path("day.mp4"), "--quiet").text.hasPrefix("vid_"))
    }
}
