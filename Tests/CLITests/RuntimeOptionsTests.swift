import Foundation
import Testing

/// A run that is given a time ends cleanly, and the next one goes on.
@Suite struct RuntimeOptionsTests {
    @Test func `a run whose time is over seals its segment, and the next one goes on`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let arguments = ["index", video, "--json"] + Tool.dense
        // However short the time is, each run gets one segment of 600 frames done.
        let first = try tool.run(arguments + ["--max-runtime", "0.001"])
        #expect(first.status == 3, "\(first.errors)")
        #expect(try first.actions() == ["stopped"])
        let stopped = try #require(try first.lines().first { $0["action"] as? String == "stopped" })
        #expect(stopped["state"] as? String == "max_runtime")
        #expect((stopped["warnings"] as? [String])?.first?.contains("600 frames are kept") == true)
        #expect(try first.summary()["stopped"] as? String == "max_runtime")
        #expect(try first.summary()["files_left"] as? Int == 1)
        #expect(try first.summary()["files_failed"] as? Int == 0)
        try tool.verify()

        var other = tool
        other.environment["LONGTAKE_MAX_RUNTIME"] = "0.001"
        let second = try other.run(arguments)
        #expect(second.status == 3)
        #expect(second.text.contains("1200 frames are kept"), "\(second.text)")
        let third = try tool.run(arguments + ["--max-runtime", "5h"])
        #expect(third.status == 0, "\(third.errors)")
        #expect(try third.actions() == ["resumed"])
        #expect(try third.summary()["stopped"] == nil)
        expectEqual(try tool.onlyIndex(), try Fixtures.wholeIndex.get())
    }

    @Test func `for people a note says that the next run goes on`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let arguments = ["index", try Fixtures.video.get(), "--max-runtime", "0.001"] + Tool.dense
        let result = try tool.run(arguments)
        #expect(result.status == 3)
        #expect(result.errors.contains("--max-runtime"), "\(result.errors)")
        #expect(result.errors.contains("the next run continues"))
        // What --force throws away in the end is not sealed either: the index that was there stays.
        let rest = try Fixtures.video.get()
        #expect(try tool.run(["index", rest] + Tool.dense).status == 0)
        let forced = try tool.run(arguments + ["--force"])
        #expect(forced.status == 3)
        #expect(forced.errors.contains("the existing index is unchanged"), "\(forced.errors)")
        let lines = try tool.run(arguments + ["--force", "--json"]).lines()
        let stopped = try #require(lines.first { $0["action"] as? String == "stopped" })
        let shown = try #require(try tool.run("show", rest, "--json").list().first)
        #expect(stopped["frames"] as? Int == shown["frames"] as? Int)
        #expect(stopped["index"] as? String == shown["index"] as? String)
        expectEqual(try tool.onlyIndex(), try Fixtures.wholeIndex.get())
    }

    @Test func `of several recordings the rest is done next time`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for number in 1...3 {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=64x\(46 + 2 * number):rate=5:duration=1", "-c:v", "mpeg4",
                tool.path("in/\(number).mkv"))
        }
        let arguments = ["index", tool.path("in"), "--json", "--max-runtime", "0.001"]
        for run in 1...3 {
            let result = try tool.run(arguments)
            #expect(result.status == (run < 3 ? 3 : 0), "\(result.errors)")
            #expect(try result.summary()["files_new"] as? Int == 1)
            #expect(try result.summary()["files_unmodified"] as? Int == run - 1)
            #expect(try result.summary()["files_left"] as? Int == 3 - run)
        }
    }

    @Test func `a pipeline stops between recordings, and answers what it indexed`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1", "-c:v", "mpeg4", tool.path("a.mkv"))
        try FileManager.default.copyItem(atPath: try Fixtures.video.get(), toPath: tool.path("b.mp4"))
        let pipeline = tool.path("p.yaml")
        try Data(
            """
            version: 1
            inputs: [a.mkv, b.mp4]
            output: answers.jsonl
            questions: [{ask: What?, max_tokens: 1}, {ask: Who?, to: 2, max_tokens: 1}]
            """.utf8
        ).write(to: URL(filePath: pipeline))
        // Each run gets one recording done, with the answers about it.
        for run in 1...3 {
            let result = try tool.run("run", pipeline, "--json", "--max-runtime", "0.001")
            #expect(result.status == (run < 2 ? 3 : 0), "run \(run): \(result.text) \(result.errors)")
            let summary = try result.summary()
            #expect(summary["files_new"] as? Int == (run <= 2 ? 1 : 0))
            #expect(summary["answers"] as? Int == (run <= 2 ? 2 : 0))
            #expect(summary["stopped"] as? String == (run < 2 ? "max_runtime" : nil))
        }
        // Of new questions about recordings that are indexed, each run asks those about one recording.
        try Data(
            """
            version: 1
            inputs: [a.mkv, b.mp4]
            output: more.jsonl
            questions: [{id: x, ask: What?, max_tokens: 1}]
            """.utf8
        ).write(to: URL(filePath: pipeline))
        for run in 1...2 {
            let result = try tool.run("run", pipeline, "--json", "--max-runtime", "0.001")
            #expect(result.status == (run < 2 ? 3 : 0), "run \(run): \(result.text) \(result.errors)")
            #expect(try result.summary()["answers"] as? Int == 1)
        }
        let answers = try Data(contentsOf: URL(filePath: tool.path("answers.jsonl"))).split(separator: 10)
        #expect(answers.count == 4)
    }

    @Test(arguments: ["0", "nan", "-1", "inf", "1e300", "soon", ""])
    func `a time that is none is wrong use`(text: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        #expect(try tool.run("index", video, "--max-runtime", text).status == 64)
        #expect(try tool.run("index", video, "--max-runtime=\(text)").status == 64)
        #expect(try tool.run("run", "p.yaml", "--max-runtime", text).status == 64)
        guard !text.isEmpty else { return }
        var other = tool
        other.environment["LONGTAKE_MAX_RUNTIME"] = text
        let result = try other.run("index", video)
        #expect(result.status == 64)
        #expect(result.errors.contains("runtime") || result.errors.contains("MAX_RUNTIME"), "\(result.errors)")
        #expect(!tool.exists("cache/indexes"))
    }
}
