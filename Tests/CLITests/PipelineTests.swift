import Foundation
import Testing

@Suite struct PipelineTests {
    static let shipped = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "pipelines")

    private func answers(_ path: String) throws -> [[String: Any]] {
        try Data(contentsOf: URL(filePath: path)).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }
    }

    /// The shipped pipelines beside a folder of recordings, one of them bad, all old enough.
    private func prepare(_ tool: Tool) throws {
        let files = FileManager.default
        try files.copyItem(atPath: Self.shipped.path, toPath: tool.path("pipelines"))
        try files.createDirectory(atPath: tool.path("recordings/cellar"), withIntermediateDirectories: true)
        let video = try Fixtures.video.get()
        try files.copyItem(atPath: video, toPath: tool.path("recordings/a.mp4"))
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=3", "-c:v", "mpeg4",
            tool.path("recordings/cellar/b.mkv"))
        try Fixtures.cut(video, to: tool.path("recordings/bad.mp4"), part: 0.01)
        for name in ["a.mp4", "bad.mp4", "cellar/b.mkv"] {
            try files.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -3600)], ofItemAtPath: tool.path("recordings/" + name))
        }
    }

    @Test func `the nightly pipeline indexes, asks, and does nothing twice`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        let pipeline = tool.path("pipelines/nightly.yaml")
        let result = try tool.run("run", pipeline, "--json")
        #expect(result.status == 3, "the bad one fails alone: \(result.errors)")
        let summary = try #require(try result.lines().last)
        #expect(summary["files_new"] as? Int == 2)
        #expect(summary["files_failed"] as? Int == 1)
        #expect(summary["answers"] as? Int == 4)
        let first = try answers(tool.path("answers/nightly.jsonl"))
        #expect(first.count == 4)
        #expect(Set(first.compactMap { $0["question_id"] as? String }) == ["people", "vehicles"])
        #expect(
            first.allSatisfy { $0["answer"] is String && $0["run_id"] is String && $0["recording"] is [String: Any] })

        let again = try #require(try tool.run("run", pipeline, "--json").lines().last)
        #expect(again["files_unmodified"] as? Int == 2)
        #expect(again["answers"] as? Int == 0)
        #expect(again["answers_unchanged"] as? Int == 4)
        #expect(try answers(tool.path("answers/nightly.jsonl")).count == 4)

        // A run that was killed left half a line: the next answer has a line of its own.
        let output = URL(filePath: tool.path("answers/nightly.jsonl"))
        let lines = try Data(contentsOf: output).split(separator: UInt8(ascii: "\n"))
        try
            (lines.dropLast().joined(separator: Data([UInt8(ascii: "\n")])) + Data([UInt8(ascii: "\n")])
            + lines[3].prefix(40))
            .reduce(into: Data()) { $0.append($1) }.write(to: output)
        #expect(try tool.run("run", pipeline, "--json").lines().last?["answers"] as? Int == 1)
        let whole = try Data(contentsOf: output).split(separator: UInt8(ascii: "\n")).count {
            (try? JSONSerialization.jsonObject(with: $0)) != nil
        }
        #expect(whole == 4)
    }

    @Test func `ask-folder looks into one folder and into ranges`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        let result = try tool.run("run", tool.path("pipelines/ask-folder.yaml"), "--json")
        #expect(result.status == 3)
        let answers = try answers(tool.path("answers/ask-folder.jsonl"))
        #expect(answers.count == 2, "not the cellar's")
        #expect(Set(answers.compactMap { $0["question_id"] as? String }) == ["opening", "q2"])
        #expect(answers.allSatisfy { $0["frames"] as? Int == 12 })
    }

    @Test func `a file that is still growing waits`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: tool.path("recordings/a.mp4"))
        let summary = try #require(try tool.run("run", tool.path("pipelines/nightly.yaml"), "--json").lines().last)
        #expect(summary["files_skipped"] as? Int == 1)
        #expect(summary["files_new"] as? Int == 1)
    }

    @Test(arguments: [
        ("version: 2\ninputs: [a]", "version: 1"), ("version: 1\ninput: [a]", "`inputs`"), ("version: 1", "inputs"),
        ("version: 1\ninputs: []", "inputs"), ("version: 1\ninputs: [a]\nfps: fast", "fps"),
        ("version: 1\ninputs: [a]\nquestions: [What?]", "output"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - ask: a\n    fusion: half", "auto or exact"),
        ("version: 1\ninputs: [a]\nrecursive: no", "recursive"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - id: x\n    aks: What?", "`ask`"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - id: x\n    ask: a\n  - id: x\n    ask: b", "same id"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions: Who?", "list"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - ask: a\n    from: 10\n    to: 5", "before"),
        ("{[", "yaml"), ("", "version"), ("version: 1\ninputs: [a]\nmin_age: soon", "min_age"),
    ])
    func `a pipeline that is none says where`(yaml: String, word: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let result = try tool.run("run", tool.path("p.yaml"))
        #expect(result.status == 64)
        #expect(result.errors.contains("p.yaml"))
        #expect(result.errors.lowercased().contains(word.lowercased()), "\(result.errors)")
    }
}
