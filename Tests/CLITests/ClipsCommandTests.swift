import Foundation
import TestSupport
import Testing

/// `export --clips` and clips of pipelines; `LongtakeTests` and `MediaTests` have what is in them.
@Suite struct ClipsCommandTests {
    private func answer(_ id: String, _ start: Int) -> Data {
        Data(
            """
            {"recording":"\(id)","question":"Q","answer":"a","evidence":[{"start":\(start),"end":\(start + 1),"score":1,"frame":\(start)}]}

            """.utf8)
    }

    private func indexed(_ tool: Tool, _ video: String) throws -> String {
        try #require(try tool.run("index", video, "--quiet").text.split(separator: "\n").first.map(String.init))
    }

    @Test func `clips are cut once, and their paths printed`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = tool.path("day.mkv")
        try NumberedImages.encode(0..<300, to: video)
        let id = try indexed(tool, video)
        let arguments = ["export", id, "--answers", "-", "--clips", "out", "--margin", "2s"]
        let first = try tool.run(arguments, input: answer(id, 10))
        let path = "out/day-\(id.suffix(8))/00-00-08.0--00-00-14.0.mkv"
        #expect(first.status == 0 && first.text == path + "\n", "\(first.text) \(first.errors)")
        #expect(FileManager.default.fileExists(atPath: tool.path(path)))
        let second = try tool.run(arguments, input: answer(id, 10))
        #expect(second.status == 0 && second.text == first.text && second.errors.contains("already"))
        // With a format the answers are the result.
        let both = try tool.run(arguments + ["--format", "jsonl"], input: answer(id, 10))
        #expect(try both.status == 0 && both.lines().count == 1)
        try FileManager.default.removeItem(atPath: video)
        let gone = try tool.run(arguments, input: answer(id, 20))
        #expect(gone.status == 14 && gone.output.isEmpty && gone.errors.contains("day.mkv"), "\(gone.errors)")
        for wrong in [["--clips", "out", "--margin", "2h"], ["--margin", "2s", "--format", "csv"], []] {
            let refused = try tool.run(["export", id, "--answers", "-"] + wrong, input: answer(id, 10))
            #expect(refused.status == 64, "\(wrong) \(refused.errors)")
        }
    }

    @Test(.enabled(if: SmallDisk.isPossible, "a tmpfs cannot be mounted here"))
    func `a full disk is said, and leaves no half clip`() throws {
        let disk = try SmallDisk(size: "1m")
        defer { disk.remove() }
        let tool = try Tool()
        defer { tool.remove() }
        let video = tool.path("day.mkv")
        try NumberedImages.encode(0..<300, to: video)
        let id = try indexed(tool, video)
        try disk.fill(leaving: 4096)
        let result = try tool.run(
            ["export", id, "--answers", "-", "--clips", disk.path + "/out"], input: answer(id, 10))
        #expect(result.status == 13 && result.output.isEmpty, "\(result.status) \(result.errors)")
        let left = try FileManager.default.subpathsOfDirectory(atPath: disk.path)
        #expect(!left.contains { $0.hasSuffix(".mkv") || $0.contains(".longtake-clip-") }, "\(left)")
    }

    @Test func `a pipeline cuts the clips of its answers`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        try NumberedImages.encode(0..<120, to: tool.path("in/a.mp4"))
        let yaml = """
            version: 1
            inputs: [in]
            max_tokens: 2
            questions: [What?]
            outputs:
              - o.jsonl
              - {path: "clips/{name}", format: clips, margin: 1s}
            """
        try yaml.write(toFile: tool.path("p.yaml"), atomically: true, encoding: .utf8)
        let result = try tool.run("run", "p.yaml", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let line = try #require(
            try String(contentsOfFile: tool.path("o.jsonl"), encoding: .utf8).split(separator: "\n").first)
        let answer = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let evidence = try #require(answer["evidence"] as? [Any])
        let files = (try? FileManager.default.contentsOfDirectory(atPath: tool.path("clips/a"))) ?? []
        #expect(files.contains { $0.hasSuffix(".mp4") } == !evidence.isEmpty, "\(files)")
        #expect(files.count { $0.hasSuffix(".json") } == files.count { $0.hasSuffix(".mp4") })
        for (change, message) in [
            ("clips/{name}", "clips/all"), ("margin: 1s", "margin: 2h"), ("format: clips", "format: vtt"),
        ] {
            try yaml.replacingOccurrences(of: change, with: message).write(
                toFile: tool.path("bad.yaml"), atomically: true, encoding: .utf8)
            #expect(try tool.run("pipeline", "check", "bad.yaml").status == 64, "\(message)")
        }
    }
}
