import Foundation
import Testing

/// `longtake eval` with the bundled model: made files in the benchmarks' forms, about recordings of its world.
@Suite struct EvalCommandTests {
    private static let model = BundledModelTests.repository + "/Models/nano"
    private static let colour = "What is the colour of the triangle?"

    /// A program with two recordings, in the folders where the benchmarks keep theirs.
    private func tool() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = Self.model
        let desk = BundledModelTests.folder
        for (name, file) in [
            ("2_needle/a.mp4", "test-1003600.mp4"), ("star/Charades_v1_480/b.mp4", "test-1003600.mp4"),
            ("data/fFjv93ACGo8.mkv", "test-1001730.mkv"), ("v_c.mp4", "test-1003600.mp4"),
            ("d-e.webm", "test-1004990.webm"),
        ] {
            let path = tool.path("videos/" + name)
            let folder = URL(filePath: path).deletingLastPathComponent()
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: desk + file, toPath: path)
        }
        return tool
    }

    private func write(_ tool: Tool, _ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: tool.path(name)))
    }

    private func lines(_ tool: Tool, _ name: String) throws -> [[String: Any]] {
        try Data(contentsOf: URL(filePath: tool.path(name))).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }
    }

    private static func mlvu(_ video: String, _ question: String = colour) -> String {
        """
        {"video": "\(video)", "duration": 30, "question": "\(question)", "candidates": ["red", "blue"], "answer": "blue",
         "question_type": "findNeedle"}
        """
    }

    @Test func `every format is asked, scored and written`() throws {
        let tool = try tool()
        defer { tool.remove() }
        try write(tool, "2_needle.json", "[\(Self.mlvu("a.mp4")),\(Self.mlvu("a.mp4", "How many things?"))]")
        try write(
            tool, "action_sequence.json",
            """
            [{"video": "b.mp4", "question": "What is it?", "candidates": ["a circle", "a square"], "answer": "a square",
              "start": 5.0, "end": 12.5},
             {"video": "b.mp4", "question": "What is it?", "candidates": ["a circle", "a square"], "answer": "a square",
              "start": 20, "end": 26}]
            """)
        try write(
            tool, "questions.json",
            #"[{"q_uid": "d-e", "question": "Why?", "option 0": "a", "option 1": "b", "option 2": "c", "option 3": "d", "option 4": "e"}]"#
        )
        try write(tool, "subset_answers.json", #"{"d-e": 1}"#)
        try write(
            tool, "videomme.json",
            """
            [{"video_id": "001", "duration": "short", "domain": "Knowledge", "sub_category": "Astronomy",
              "url": "https://www.youtube.com/watch?v=fFjv93ACGo8",
              "questions": [{"question_id": "001-1", "task_type": "Counting Problem", "question": "How many things?",
                "options": ["A. one.", "B. two.", "C. three.", "D. four."], "answer": "C"}]}]
            """)
        try write(
            tool, "test_q.json",
            #"[{"video_name": "c", "question": "\#(Self.colour)", "question_id": "c_1"}, {"video_name": "c", "question": "Is there a red star?", "question_id": "c_2"}]"#
        )
        try write(
            tool, "test_a.json",
            #"[{"answer": "blue", "type": 1, "question_id": "c_1"}, {"answer": "yes", "type": 1, "question_id": "c_2"}]"#
        )
        let runs: [(String, [String], Int, Bool)] = [
            ("mlvu", ["2_needle.json", "--scores", "bench_all.json"], 2, true),
            ("mvbench", ["action_sequence.json", "--scores", "upload_leaderboard.json"], 2, true),
            ("egoschema", ["questions.json", "--answers", "subset_answers.json"], 1, true),
            ("video-mme", ["videomme.json"], 1, true),
            ("videoqa", ["test_q.json", "--answers", "test_a.json"], 2, false),
        ]
        for (format, arguments, count, isScored) in runs {
            let file = format + "-predictions.json"
            let result = try tool.run(
                ["eval", format] + arguments + [
                    "--videos", "videos", "--predictions", file, "--max-tokens", "8", "--json",
                ])
            #expect(result.status == 0, "\(format): \(result.errors)")
            let printed = try result.lines()
            #expect(printed.count { $0["message_type"] as? String == "answer" } == count)
            let summary = try #require(printed.last)
            #expect(summary["message_type"] as? String == "summary" && summary["format"] as? String == format)
            #expect(summary["answered"] as? Int == count && summary["failed"] as? Int == 0, "\(summary)")
            #expect((summary["score"] != nil) == isScored)
            let answers = try lines(tool, format + ".jsonl")
            #expect(answers.count == count && Set(answers.compactMap { $0["key"] as? String }).count == count)
            #expect(FileManager.default.fileExists(atPath: tool.path(file)))
        }
        // What the model was trained to say comes through unchanged, and is what the judge gets.
        let open = try Data(contentsOf: URL(filePath: tool.path("videoqa-predictions.json")))
        let judged = try #require(try JSONSerialization.jsonObject(with: open) as? [[String: String]])
        #expect(judged.map { $0["pred"] } == ["blue", "yes"] && judged.map { $0["A"] } == ["blue", "yes"])
        // Clips are ranges of the recording.
        let clips = try lines(tool, "mvbench.jsonl")
        #expect(clips.map { $0["range"] as? [Double] } == [[5, 12], [20, 25]], "\(clips.map { $0["range"] as Any })")
        #expect(
            clips.allSatisfy {
                ($0["prompt"] as? String)?.hasSuffix("\nOnly give the best option.Best option:(") == true
            })
        let scores = try Data(contentsOf: URL(filePath: tool.path("upload_leaderboard.json")))
        let tasks = try #require(try JSONSerialization.jsonObject(with: scores) as? [String: Double])
        #expect(Set(tasks.keys) == ["Action Sequence", "Avg"])
        // One index per recording, however many formats and questions ask about it.
        let indexed = try tool.run("ls", "--json").list()
        #expect(Set(indexed.compactMap { $0["index"] as? String }).count == 3, "one under several names is one")
    }

    @Test func `a stopped run is continued, and nothing is asked twice`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let asked = ["What is it?", "How many things?", "Where is it?"].map { Self.mlvu("a.mp4", $0) }
        try write(tool, "2_needle.json", "[" + asked.joined(separator: ",") + "]")
        // A file that changed just now is not taken for the one that was indexed.
        Thread.sleep(forTimeInterval: 2.1)
        let command = ["eval", "mlvu", "2_needle.json", "--videos", "videos", "--max-tokens", "4", "--json"]
        let first = try tool.run(command + ["--limit", "2"])
        #expect(first.status == 0, "\(first.errors)")
        #expect(try lines(tool, "mlvu.jsonl").count == 2)
        // As if the run had been stopped within the second answer.
        let path = URL(filePath: tool.path("mlvu.jsonl"))
        let text = try String(contentsOf: path, encoding: .utf8)
        let kept = text.split(separator: "\n").map(String.init)
        try Data((kept[0] + "\n" + kept[1].prefix(50)).utf8).write(to: path)

        let plan = try #require(try tool.run(command + ["--dry-run"]).lines().last)
        #expect(plan["message_type"] as? String == "plan" && plan["answered_before"] as? Int == 1)
        #expect(plan["videos_indexed"] as? Int == 1 && plan["questions"] as? Int == 3)

        let second = try tool.run(command)
        #expect(second.status == 0, "\(second.errors)")
        let summary = try #require(try second.lines().last)
        #expect(summary["answered"] as? Int == 2 && summary["answered_before"] as? Int == 1)
        let whole = try String(contentsOf: path, encoding: .utf8).split(separator: "\n")
        #expect(whole.count == 4 && whole[0] == kept[0], "the answer that was there is still there")

        // With nothing left to ask the videos are not needed.
        try FileManager.default.removeItem(atPath: tool.path("videos/2_needle"))
        let third = try tool.run(command + ["--predictions", "p.json"])
        #expect(third.status == 0, "\(third.errors)")
        #expect(try third.lines().last?["answered_before"] as? Int == 3)
        #expect(try Data(contentsOf: path).split(separator: UInt8(ascii: "\n")).count == 4)

        // Another option makes other answers.
        let other = try tool.run(command + ["--prompt", "letter"])
        #expect(other.status == 14, "\(other.errors)")
        #expect(try other.exitError()["error"] as? String == "no_videos")
    }

    @Test func `missing videos are listed, and the others are asked`() throws {
        let tool = try tool()
        defer { tool.remove() }
        try FileManager.default.createDirectory(atPath: tool.path("videos/frames"), withIntermediateDirectories: true)
        try write(tool, "videos/broken.mp4", "not a video")
        let entries = ["a.mp4", "gone.mp4", "gone.mp4", "frames", "broken.mp4"].enumerated().map {
            Self.mlvu($1, "What is it? \($0)")
        }
        try write(tool, "x.json", "[" + entries.joined(separator: ",") + "]")
        let result = try tool.run(
            "eval", "mlvu", "x.json", "--videos", "videos", "--max-tokens", "2", "--predictions", "p.json")
        #expect(result.status == 3)
        #expect(result.text.contains("mlvu: 1 of 5 questions answered, 1 failed; 2 videos missing (3 questions)"))
        #expect(result.errors.contains("missing: gone.mp4 (2 questions): not in videos"))
        #expect(result.errors.contains("missing: frames (1 question): a folder of images"))
        #expect(result.errors.contains("broken.mp4"))
        #expect(FileManager.default.fileExists(atPath: tool.path("p.json")))
        let json = try tool.run("eval", "mlvu", "x.json", "--videos", "videos", "--max-tokens", "2", "--json")
        #expect(try json.lines().last?["videos_missing"] as? [String] == ["gone.mp4", "frames"])
        #expect(try json.lines().count { $0["message_type"] as? String == "missing" } == 2)

        // Two different files of one name are not guessed between.
        for (folder, content) in [("first", "one"), ("second", "another")] {
            try FileManager.default.createDirectory(
                atPath: tool.path("videos/" + folder), withIntermediateDirectories: true)
            try write(tool, "videos/\(folder)/gone.mp4", content)
        }
        let twice = try tool.run("eval", "mlvu", "x.json", "--videos", "videos", "--max-tokens", "2")
        #expect(twice.errors.contains("several files of this name"), "\(twice.errors)")
    }

    @Test func `a wrong command or file says so in a line`() throws {
        let tool = try tool()
        defer { tool.remove() }
        try write(tool, "x.json", "[\n\(Self.mlvu("a.mp4")),\n{\"video\": \"a.mp4\"}]")
        try write(tool, "good.json", Self.mlvu("a.mp4"))
        let cases: [([String], Int32, String)] = [
            (
                ["mvlu", "good.json", "--videos", "videos"], 64,
                "invalid format \"mvlu\"; use mlvu, egoschema, mvbench, video-mme or videoqa; did you mean mlvu?"
            ),
            (["mlvu", "x.json", "--videos", "videos"], 64, "x.json:4: question 2: `question_type` is missing"),
            (["mlvu", "none.json", "--videos", "videos"], 64, "none.json: cannot be read: No such file"),
            (["mlvu", "good.json", "--videos", "none"], 64, "none: no such folder of videos"),
            (["mlvu", "good.json", "--videos", "videos", "--limit", "0"], 64, "--limit must be 1 or more, not 0"),
            (["mlvu", "good.json", "--videos", "videos", "--prompt", "leter"], 64, "did you mean letter?"),
            (
                ["egoschema", "good.json", "--videos", "videos", "--scores", "s"], 64,
                "--scores is for mlvu and mvbench"
            ),
            (["mlvu", "good.json", "--videos", "videos", "--out", "a", "--predictions", "./a"], 64, "different files"),
            (["mlvu", "good.json", "--videos", "videos", "--answers", "x.json"], 64, "have their answers with them"),
            (["mlvu", "good.json", "--videos", "videos", "--model", "none"], 12, "none"),
            (
                ["mlvu", "good.json", "--videos", "videos", "--out", "/proc/none"], 13,
                "/proc/none: cannot write answers"
            ),
            (["mlvu", "good.json", "--videos", "videos", "--out", "/dev/null"], 64, "the file of answers is a"),
        ]
        for (arguments, status, text) in cases {
            let result = try tool.run(["eval"] + arguments + ["--quiet"])
            #expect(result.status == status, "\(arguments): \(result.status) \(result.errors)")
            #expect(result.errors.contains(text), "\(arguments): \(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        }
    }
}
