import Foundation
import Testing

/// An option on the command line comes first, then a pipeline's own setting, then the environment.
@Suite struct PrecedenceTests {
    private func pipeline(_ tool: Tool, _ settings: String) throws -> String {
        try FileManager.default.createDirectory(atPath: tool.path("rec"), withIntermediateDirectories: true)
        if !FileManager.default.fileExists(atPath: tool.path("rec/a.mp4")) {
            try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: tool.path("rec/a.mp4"))
        }
        let text = "version: 1\ninputs: [rec]\n\(settings)\nquestions: [What is seen?]\noutput: out.jsonl\n"
        try Data(text.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        return tool.path("p.yaml")
    }

    /// The model that the last answer came from.
    private func model(_ tool: Tool) throws -> String? {
        let lines = try Data(contentsOf: URL(filePath: tool.path("out.jsonl"))).split(separator: UInt8(ascii: "\n"))
        let last = try JSONSerialization.jsonObject(with: try #require(lines.last)) as? [String: Any]
        return last?["model"] as? String
    }

    @Test func `a pipeline's model comes before the environment's, and the option's before both`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let shared = try Fixtures.model.get()
        for (name, seed) in [("own", "11"), ("typed", "12")] {
            try tool.run("model", "make-random", "--shape", "nano", "--seed", seed, "--out", tool.path(name), "--quiet")
        }
        tool.environment["LONGTAKE_MODEL"] = shared
        let file = try pipeline(tool, "model: own")
        #expect(try tool.run("run", file, "--json").status == 0)
        #expect(try model(tool) == "own")
        #expect(try tool.run("run", file, "--model", tool.path("typed"), "--json").status == 0)
        #expect(try model(tool) == "typed")
        #expect(try tool.run("run", try pipeline(tool, ""), "--json").status == 0)
        #expect(try model(tool) == URL(filePath: shared).lastPathComponent)
    }

    @Test func `precision of a pipeline`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_PRECISION"] = "bf16"
        let wrong = try tool.run("run", try pipeline(tool, "precision: int2"), "--json")
        #expect(wrong.status == 64)
        let said = try wrong.exitError()["message"] as? String
        #expect(
            said?.contains("p.yaml:3: `precision` is int2; use one of auto, f32, bf16, int8") == true, "\(said ?? "")")
        /// The index of a run; the precision is part of its key.
        func index(_ arguments: [String]) throws -> String {
            let result = try tool.run(arguments + ["--json"])
            try #require(result.status == 0, "\(result.errors)")
            return try #require(try result.lines().compactMap { $0["index"] as? String }.last)
        }
        let file = try pipeline(tool, "precision: int8")
        let video = tool.path("rec/a.mp4")
        let own = try index(["run", file])
        #expect(try index(["index", video, "--precision", "int8"]) == own)
        let typed = try index(["run", file, "--precision", "f32"])
        #expect(try index(["index", video, "--precision", "f32"]) == typed && typed != own)
        let environment = try index(["run", try pipeline(tool, "")])
        #expect(try index(["index", video]) == environment && environment != own && environment != typed)
    }

    @Test(
        arguments: [
            // The file's rate, the environment's, the option's, and the frames of 12 s.
            ("fps: 2", "0.5", nil, 24), ("fps: 2", nil, "0.25", 3), ("fps: 2", "0.5", "0.25", 3), ("", "0.5", nil, 6),
            ("", nil, nil, 12),
        ] as [(String, String?, String?, Int)])
    func `frames per second of a pipeline`(own: String, environment: String?, typed: String?, frames: Int) throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_FPS"] = environment
        let file = try pipeline(tool, own)
        let result = try tool.run(["run", file, "--json"] + (typed.map { ["--fps", $0] } ?? []))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.lines().last?["frames"] as? Int == frames)
    }

    @Test(
        arguments: [
            // The file's stream, the environment's, the option's, and the stream that is taken: the first is default.
            ("", nil, nil, 0), ("stream: 1", "0", nil, 1), ("", "1", nil, 1), ("stream: 1", "1", "0", 0),
        ] as [(String, String?, String?, Int)])
    func `the stream of a pipeline`(own: String, environment: String?, typed: String?, stream: Int) throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_STREAM"] = environment
        let file = try pipeline(tool, own)
        try FileManager.default.removeItem(atPath: tool.path("rec/a.mp4"))
        // Two lengths tell the streams apart: 3 s and 6 s.
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=3", "-f", "lavfi", "-i",
            "testsrc2=size=96x64:rate=5:duration=6", "-map", "0", "-map", "1", "-c:v", "mpeg4", "-disposition:v:0",
            "default", "-disposition:v:1", "0", tool.path("rec/two.mp4"))
        let result = try tool.run(["run", file, "--json"] + (typed.map { ["--stream", $0] } ?? []))
        #expect(result.status == 0 || result.status == 3, "\(result.errors)")
        #expect(try result.lines().last?["frames"] as? Int == (stream == 0 ? 3 : 6))
    }

    @Test func `the least age of a pipeline`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_MIN_AGE"] = "1d"
        func skipped(_ settings: String, _ options: String...) throws -> Int? {
            try tool.run(["run", pipeline(tool, settings), "--json"] + options).lines().last?["files_skipped"] as? Int
        }
        #expect(try skipped("min_age: 0") == 0)
        #expect(try skipped("") == 1)
        #expect(try skipped("min_age: 1d", "--min-age", "0") == 0)
    }

    @Test func `a format from the environment gives way to --json`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_FORMAT"] = "csv"
        let video = try Fixtures.video.get()
        #expect(try tool.run("ask", video, "What is seen?", "--max-tokens", "2", "--json").object()["answer"] != nil)
        #expect(try tool.run("ask", video, "What is seen?", "--max-tokens", "2").text.hasPrefix("recording,"))
    }
}
