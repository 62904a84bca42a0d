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

        // The catalog knows what was asked, so a line that somebody removed does not come back.
        let output = URL(filePath: tool.path("answers/nightly.jsonl"))
        let lines = try Data(contentsOf: output).split(separator: UInt8(ascii: "\n"))
        try lines.dropLast().reduce(into: Data()) { $0.append($1 + [UInt8(ascii: "\n")]) }.write(to: output)
        #expect(try tool.run("run", pipeline, "--json").lines().last?["answers"] as? Int == 0)
        #expect(try answers(tool.path("answers/nightly.jsonl")).count == 3)

        // Without a catalog the output counts: what is missing in it is asked again, on a line of its own.
        try Data(contentsOf: output).dropLast(10).write(to: output)
        try FileManager.default.removeItem(atPath: tool.path("data"))
        #expect(try tool.run("run", pipeline, "--json").lines().last?["answers"] as? Int == 2)
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

    @Test(arguments: ["archive", "evaluate", "lecture-notes", "surveillance"])
    func `each shipped pipeline runs with the bundled model, and does nothing twice`(name: String) throws {
        var tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        tool.environment["LONGTAKE_MODEL"] = BundledModelTests.repository + "/Models/nano"
        tool.environment["ALERT"] = tool.path("alert")
        try Data("#!/bin/sh\ncat >>'\(tool.path("alerts"))'\n".utf8).write(to: URL(filePath: tool.path("alert")))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: tool.path("alert"))
        for folder in ["archive", "lectures"] {
            try FileManager.default.copyItem(atPath: tool.path("recordings"), toPath: tool.path(folder))
            for file in ["a.mp4", "bad.mp4", "cellar/b.mkv"] {
                try FileManager.default.setAttributes(
                    [.modificationDate: Date(timeIntervalSinceNow: -200_000)],
                    ofItemAtPath: tool.path("\(folder)/\(file)"))
            }
        }
        let pipeline = tool.path("pipelines/\(name).yaml")
        let result = try tool.run("run", pipeline, "--json")
        #expect(result.status == 3, "the bad one fails alone: \(result.errors)")
        let summary = try #require(try result.lines().last)
        #expect(summary["files_new"] as? Int == 2 && summary["answers_failed"] as? Int == 0)
        let given = try tool.run("runs", "answers").lines()
        #expect(given.count == summary["answers"] as? Int && given.count >= 2)
        let files = FileManager.default
        switch name {
        case "archive": #expect(files.fileExists(atPath: tool.path("answers/archive.sqlite")))
        case "evaluate":
            #expect(given.count { $0["value"] is Bool } == 2, "\(given)")
            let rows = try String(contentsOfFile: tool.path("answers/evaluate.csv"), encoding: .utf8)
            #expect(rows.hasPrefix("recording,path,question") && rows.split(separator: "\r\n").count >= 7)
        case "lecture-notes":
            #expect(
                try files.contentsOfDirectory(atPath: tool.path("answers/notes/cellar")).sorted() == [
                    "b.chapters", "b.srt",
                ])
            let chapters = try String(contentsOfFile: tool.path("answers/notes/lectures/a.chapters"), encoding: .utf8)
            #expect(chapters.hasPrefix(";FFMETADATA1") && chapters.contains("[CHAPTER]"))
        default:
            let names = try files.contentsOfDirectory(atPath: tool.path("answers"))
            #expect(names.count == 4, "\(names)")
            let alerts = try String(contentsOfFile: tool.path("alerts"), encoding: .utf8)
            #expect(alerts.contains("\"alert\":\"unreadable\""))
        }
        let again = try #require(try tool.run("run", pipeline, "--json").lines().last)
        #expect(again["answers"] as? Int == 0 && again["files_new"] as? Int == 0)
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
        ("version: 1\ninputs: [a]\nstream: -1", "0 or more"), ("version: 1\ninputs: [a]\nstream: first", "0 or more"),
        ("version: 1\ninputs: [a]\nquestions: [What?]", "output"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - ask: a\n    fusion: half", "auto or exact"),
        ("version: 1\ninputs: [a]\nrecursive: no", "recursive"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - id: x\n    aks: What?", "`ask`"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - id: x\n    ask: a\n  - id: x\n    ask: b", "same id"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions: Who?", "list"),
        ("version: 1\ninputs: [a]\noutput: o\nquestions:\n  - ask: a\n    from: 10\n    to: 5", "before"),
        ("version: 1\nkv: int4\ninputs: [a]", "auto, bf16 or int8"),
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

    /// Ten levels of ten aliases each, then the last one as a key: 10¹⁰ nodes for who hashes it.
    private static let bomb: String = {
        var lines = ["version: 1", "a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
        for level in 1...9 {
            let list = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
            lines.append("a\(level): &a\(level) [\(list)]")
        }
        return (lines + ["? *a9", ": 1", "? *a9", ": 2"]).joined(separator: "\n")
    }()

    @Test(arguments: [
        (bomb, ":2: anchors"),
        ("version: 1\ninputs: &a [a]\n", ":2: anchors"), ("version: 1\ninputs: *a\n", ":2: aliases"),
        ("version: 1\ninputs: [a]\n? &k !!str model\n: b\n", ":3: anchors"),
        ("version: 1\ninputs: [a]\n<<: *a\n", ":3: aliases"), ("version: 1\ninputs: [a]\n<<: {fps: 2}\n", "<<"),
        ("version: 1\ninputs:\n- !!binary aGVsbG8=\n", ":3: tags"),
        ("version: 1\ninputs: !!python/object/apply:os.system [ls]\n", ":2: tags"), ("!a {version: 1}", ":1: tags"),
        ("version: 1\n? [a, b]\n: 2\n", ":2: a key"), ("version: 1\n? {a: b}\n: 2\n", ":2: a key"),
        ("version: 1\ninputs: [a]\ninputs: [b]\n", "inputs"), ("version: 1\n---\nversion: 1\n", "document"),
        ("version: 1\ninputs: " + String(repeating: "[", count: 500), "deeper than 16"),
        (String(repeating: "- ", count: 200_000), "deeper than 16"),
        (String(repeating: "? ", count: 200_000), ":1: a key"),
        ("version: 1\ninputs: [" + String(repeating: "a,", count: 200_000) + "]", "more than 100000"),
        (String(repeating: "#", count: 1_048_577), "longer than 1048576"),
    ])
    func `YAML that would cost more than it says is refused`(yaml: String, word: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let result = try Child(tool, "run", tool.path("p.yaml")).end()
        #expect(result.status == 64)
        #expect(result.errors.contains("p.yaml") && result.errors.contains(word), "\(result.errors.prefix(500))")
        #expect(result.errors.utf8.count < 2048)
    }

    @Test func `a pipeline may have the letters of aliases and tags in its texts`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        let yaml = """
            # &a *a !!str
            version: 1
            inputs: ["recordings/cellar"]
            questions:
              - id: "&a"
                ask: "*what* & !why"
                max_tokens: 2
              - id: b
                ask: |
                  &a
                  *a
                max_tokens: 2
            output: o.jsonl
            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let result = try tool.run("run", tool.path("p.yaml"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(try answers(tool.path("o.jsonl")).map { $0["question_id"] as? String } == ["&a", "b"])
    }

    @Test func `a question that does not fit leaves the others of its pipeline`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        let questions = (0..<10).map { index in
            "  - {id: q\(index), ask: \"What is \(index)?\", max_tokens: \(index == 4 ? 131_072 : 3 + index)}\n"
        }
        let yaml = "version: 1\ninputs: [recordings/cellar]\nquestions:\n\(questions.joined())output: o.jsonl\n"
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let result = try tool.run("run", tool.path("p.yaml"), "--json")
        #expect(result.status == 3, "\(result.errors)")
        let summary = try #require(try result.lines().last)
        #expect(summary["answers"] as? Int == 9 && summary["answers_failed"] as? Int == 1)
        let given = try answers(tool.path("o.jsonl"))
        #expect(given.map { $0["question_id"] as? String } == (0..<10).filter { $0 != 4 }.map { "q\($0)" })
        for answer in given {
            let text = try #require(answer["question"] as? String)
            let tokens = try #require(Int(text.filter(\.isNumber))) + 3
            let single = try tool.run(
                "ask", tool.path("recordings/cellar/b.mkv"), text, "--max-tokens", "\(tokens)", "--json"
            ).object()
            #expect(answer["token_ids"] as? [Int] == single["token_ids"] as? [Int], "\(text)")
        }
    }

    @Test(arguments: ["mkfifo o", "mkfifo p; ln -s p o", "ln -s /dev/null o", "mkdir o", "ln -s /dev/full o"])
    func `an output that is not a regular file is refused before anything is done`(making: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        _ = try Child(tool, shell: making).end()
        let yaml = "version: 1\ninputs: [recordings]\nquestions: [Who?]\noutput: o\n"
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let result = try Child(tool, "run", tool.path("p.yaml")).end()
        #expect(result.status == 64)
        #expect(result.errors.contains("give a regular file"), "\(result.errors)")
        #expect(result.text.isEmpty)
    }

    @Test func `an answers file is read by lines, whatever is in it`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool)
        let yaml = """
            version: 1
            inputs: [recordings/cellar]
            questions: [{id: a, ask: Who?, max_tokens: 2}]
            output: o.jsonl
            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        try #require(try tool.run("run", tool.path("p.yaml")).status == 0)
        let line = try Data(contentsOf: URL(filePath: tool.path("o.jsonl")))
        let id = try #require(try answers(tool.path("o.jsonl")).first?["recording"] as? [String: Any])["id"] as? String
        // 1.5 GiB of nothing, which takes no room on the disk, and a line that was cut off.
        let output = try #require(FileHandle(forWritingAtPath: tool.path("o.jsonl")))
        try output.seek(toOffset: 3 << 29)
        try output.write(contentsOf: Data("\n".utf8) + line + line.prefix(50))
        try output.close()
        // A catalog that has lost the answers reads them from the output. Less memory than the file is long.
        try FileManager.default.removeItem(atPath: tool.path("data"))
        let limited = "ulimit -v 1500000; exec \"$0\" \"$@\""
        let again = try Child(tool, shell: limited, ["run", tool.path("p.yaml")]).end(limit: 300)
        #expect(again.status == 0, "\(again.errors)")
        #expect(again.errors.contains("1 answered before"), "\(again.errors)")
        #expect(again.errors.contains("2 lines are not answers"), "\(again.errors)")
        let arguments = ["export", try #require(id), "--answers", tool.path("o.jsonl"), "--format", "jsonl"]
        let export = try Child(tool, shell: limited, arguments).end(limit: 300)
        #expect(export.status == 0, "\(export.errors)")
        #expect(export.text.contains("Who?"))
    }

    @Test(arguments: [SIGTERM, SIGINT]) func `the first signal ends the wait for a pipeline or for answers`(
        number: Int32
    ) throws {
        let tool = try Tool()
        defer { tool.remove() }
        try #require(mkfifo(tool.path("p.yaml"), 0o600) == 0)
        try #require(try tool.run("index", try Fixtures.video.get(), "--quiet").status == 0)
        for arguments in [
            ["run", tool.path("p.yaml")],
            ["export", try Fixtures.video.get(), "--format", "csv", "--answers", tool.path("p.yaml")],
        ] {
            let child = try Child(tool, program: Tool.executable.path, arguments)
            // It waits: the descriptor of the pipe is open.
            try child.wait("the pipe") {
                let folder = "/proc/\(child.pid)/fd/"
                let open = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
                return open.contains {
                    (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + $0))?.hasSuffix("p.yaml")
                        == true
                }
            }
            child.send(number)
            #expect(child.end().status == 128 + number)
        }
    }
}
