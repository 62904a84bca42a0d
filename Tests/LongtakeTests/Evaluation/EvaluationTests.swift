import Foundation
import Longtake
import Testing

/// Benchmarks' files: what is read from them, how answers are scored, and what is written.
@Suite struct EvaluationTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func write(_ name: String, _ text: String) throws -> String {
        let path = folder.path + "/" + name
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    private func read(_ name: String) throws -> String {
        try String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)
    }

    private func json(_ name: String) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: folder.path + "/" + name)))
    }

    private static func mlvu(_ answer: String = "\"two\"", task: String = "findNeedle") -> String {
        """
        {"video": "needle_32.mp4", "duration": 467.98, "question": "How many?",
         "candidates": ["one", "two", "three", "four"], "answer": \(answer), "question_type": "\(task)"}
        """
    }

    private static let mvBench = """
        {"video": "ZS9XR.mp4", "question": "What happened?", "candidates": ["one", "two", "three", "four"],
         "answer": "two", "question_id": "Sequence_1", "start": 3.5, "end": 11.25}
        """

    private static let egoSchema = """
        {"q_uid": "0074f737-11cb", "google_drive_id": "x", "question": "Why?", "option 0": "a", "option 1": "b",
         "option 2": "c", "option 3": "d", "option 4": "e"}
        """

    private static func videoMME(_ id: String = "001", duration: String = "short") -> String {
        """
        {"video_id": "\(id)", "duration": "\(duration)", "domain": "Knowledge", "sub_category": "Astronomy",
         "url": "https://www.youtube.com/watch?v=fFjv93ACGo8", "videoID": "fFjv93ACGo8",
         "questions": [{"question_id": "\(id)-1", "task_type": "Counting Problem", "question": "How many?",
                        "options": ["A. one.", "B. two.", "C. three.", "D. four."], "answer": "B"}]}
        """
    }

    private static let videoQA = #"{"video_name": "v_1Q", "question": "who is it", "question_id": "v_1Q_3"}"#

    private func evaluation(
        _ format: EvaluationFormat, _ text: String, answers: String? = nil, prompt: EvaluationPrompt = .benchmark,
        name: String = "2_needle.json"
    ) throws -> Evaluation {
        try Evaluation(
            format, files: [write(name, text)], answers: answers.map { try write("answers.json", $0) }, prompt: prompt)
    }

    // MARK: Reading

    @Test(arguments: [
        (EvaluationFormat.mlvu, mlvu()), (.mvBench, mvBench), (.egoSchema, egoSchema), (.videoMME, videoMME()),
        (.videoQA, videoQA),
    ])
    func `an array and JSON lines have the same questions`(format: EvaluationFormat, entry: String) throws {
        let line = entry.replacingOccurrences(of: "\n", with: " ")
        let files = ["[\n\(entry),\n\(entry)\n]\n", "\(line)\n\(line)\n", "\u{FEFF}[\(entry),\(entry)]"]
        let read = try files.map { try evaluation(format, $0).questions }
        for questions in read {
            #expect(questions.count == 2)
            #expect(questions[0].text == read[0][0].text && questions[0].options == read[0][0].options)
            #expect(questions[0].videoName == read[0][0].videoName)
        }
    }

    @Test func `the published table of Video-MME has a question per line`() throws {
        let line = """
            {"video_id": "001", "duration": "short", "domain": "Knowledge", "sub_category": "Astronomy", "videoID": "fFj",
             "question_id": "001-1", "task_type": "Counting Problem", "question": "How many?",
             "options": ["A. one.", "B. two.", "C. three.", "D. four."], "answer": "B"}
            """
        let question = try #require(evaluation(.videoMME, line).questions.first)
        #expect(question.id == "001-1" && question.options.count == 4 && question.videoName == "fFj")
    }

    @Test func `data sets of open questions have their own names for things`() throws {
        let text =
            #"[{"answer": "couch", "category_id": 14, "id": 158581, "question": "what is it", "video_id": 7010}]"#
        let question = try #require(evaluation(.videoQA, text).questions.first)
        #expect(question.id == "158581" && question.videoName == "7010")
    }

    @Test(arguments: [
        (
            EvaluationFormat.mlvu, "[\n\n{\"video\": \"a.mp4\", \"question\": \"q\"}]",
            ":3: question 1: `question_type` is missing"
        ),
        (.mlvu, "[\(mlvu()),\n\(mvBench)]", ":3: question 2: `question_type` is missing"),
        (
            .mlvu, mlvu().replacing("[\"one\", \"two\", \"three\", \"four\"]", with: "[\"one\"]"),
            "`candidates` must have 2 to 26"
        ),
        (.mlvu, mlvu().replacing("needle_32.mp4", with: "../secret.mp4"), "`video` must be the name of a file below"),
        (.mlvu, mlvu().replacing("needle_32.mp4", with: "/etc/passwd"), "`video` must be the name of a file below"),
        (.mlvu, "[\n\(mlvu()),\n]", ":4: not valid JSON"),
        (.mlvu, "[{\"video\": \"a\",\n\"video\": \"b\"}]", "appears twice"),
        (.mlvu, "[1]", ":1: question 1 is not a JSON object"), (.mlvu, "[]", "no question in it"),
        (.mlvu, "", "no question in it"), (.mlvu, egoSchema, "the keys are those of egoschema"),
        (.egoSchema, mlvu(), ":1: question 1: `q_uid` is missing; the keys are those of mlvu"),
        (.egoSchema, egoSchema.replacing("\"option 4\": \"e\"", with: "\"answer\": 5, \"option 4\": \"e\""), "0 to 4"),
        (.mvBench, mvBench.replacing("\"start\": 3.5", with: "\"start\": 30"), "`start` must be before `end`"),
        (.mvBench, mvBench.replacing("3.5", with: "\"soon\""), "`start` must be a time in seconds"),
        (.videoMME, videoMME().replacing("\"answer\": \"B\"", with: "\"answer\": \"E\""), "letter of an option, not E"),
        (.videoMME, videoMME().replacing("\"options\"", with: "\"choices\""), "`options` is missing"),
        (.videoQA, "{\"video_name\": \"a\", \"question\": \"\", \"question_id\": 1}", "`question` is empty"),
        (.videoQA, "{\"question\": \"q\", \"question_id\": 1}", "`video_name` is missing"),
    ])
    func `a wrong file is refused with its line and key`(format: EvaluationFormat, text: String, part: String) throws {
        let error = #expect(throws: LongtakeError.self) { try evaluation(format, text) }
        #expect(error?.code == .badQuestions)
        #expect(
            error?.message.contains("2_needle.json") == true && error?.message.contains(part) == true, "\(error as Any)"
        )
    }

    @Test func `tasks with clips need their times, others ignore them`() throws {
        let without = Self.mvBench.replacing(", \"start\": 3.5, \"end\": 11.25", with: "")
        let error = #expect(throws: LongtakeError.self) {
            try evaluation(.mvBench, without, name: "action_sequence.json")
        }
        #expect(error?.message.contains("`start` is missing") == true)
        #expect(try evaluation(.mvBench, without, name: "action_count.json").questions.count == 1)
    }

    @Test func `the files of a folder are read in the order of their numbers`() throws {
        for number in [10, 9, 1] {
            _ = try write("\(number)_x.json", Self.mlvu(task: "task\(number)"))
        }
        let evaluation = try Evaluation(.mlvu, files: [folder.path], limit: 2)
        #expect(evaluation.questions.map(\.id) == ["1_x-1", "9_x-1"])
        let empty = try Folder()
        #expect(throws: LongtakeError.self) { try Evaluation(.mlvu, files: [empty.path]) }
    }

    @Test func `a reference that is no option can never be chosen`() throws {
        let evaluation = try evaluation(.mlvu, Self.mlvu("\"five\""))
        #expect(evaluation.notes.count == 1 && evaluation.notes[0].contains("2_needle.json:1"))
        for answer in ["A)", "B)", "C)", "D)", "@)"] {
            #expect(evaluation.results([answer]).score.correct == 0)
        }
    }

    @Test func `reference answers of their own file`() throws {
        let ego = try evaluation(
            .egoSchema, "[\(Self.egoSchema),\(Self.egoSchema.replacing("0074", with: "0075"))]",
            answers: #"{"0074f737-11cb": 3, "another": 1}"#)
        let results = ego.results(["D", "A"])
        #expect(results.all.map(\.isCorrect) == [true, nil], "500 of the answers are public")
        #expect(results.score.counted == 1 && results.score.average == 100)

        let open = [Self.videoQA, Self.videoQA.replacing("v_1Q_3", with: "v_1Q_4")].joined(separator: "\n")
        for answers in [
            #"[{"answer": "no", "type": 3, "question_id": "v_1Q_4"}, {"answer": "yes", "question_id": "v_1Q_3"}]"#,
            #"[{"answer": "yes"}, {"answer": "no"}]"#,
        ] {
            let evaluation = try evaluation(.videoQA, open, answers: answers)
            try evaluation.writePredictions(evaluation.results(["a", "b"]), to: folder.path + "/merge.jsonl")
            let lines = try read("merge.jsonl").split(separator: "\n").map(String.init)
            #expect(lines.count == 2 && lines[0].contains(#""answer":"yes""#) && lines[1].contains(#""answer":"no""#))
        }
        for (wrong, part) in [
            (#"[{"answer": "yes", "question_id": "v_1Q_3"}]"#, "no answer to v_1Q_4"),
            (#"[{"answer": "yes"}]"#, "1 answer for 2 questions"),
        ] {
            let error = #expect(throws: LongtakeError.self) { try evaluation(.videoQA, open, answers: wrong) }
            #expect(error?.message.contains(part) == true)
        }
        #expect(throws: LongtakeError.self) { try evaluation(.egoSchema, Self.egoSchema, answers: "[1]") }
        #expect(throws: LongtakeError.self) {
            try evaluation(.egoSchema, Self.egoSchema, answers: #"{"0074f737-11cb": 5}"#)
        }
        #expect(throws: LongtakeError.self) { try evaluation(.mlvu, Self.mlvu(), answers: "{}") }
    }

    // MARK: Scoring

    /// An answer, and the letters that the code of MLVU, MVBench and Video-MME reads from it (run for this table).
    private static let answers: [(String, String, String, String)] = [
        ("A", "A", "A", "A"), ("B) two", "B", "B", "B"), ("(C) three", "C", "C", "C"), ("C", "C", "C", "C"),
        ("c", "", "C", ""), ("Answer: B", "", "", "B"), ("B.", "", "B", "B"), ("", "", "", ""),
        ("The answer is D", "", "", "D"), ("D) x) y", "D", "D", "D"), ("None of these", "", "", ""),
        ("Best option: (B", "", "", "B"), ("B\nC) three", "C", "B", "B"), (" A ", "A", "A", "A"), (")", "", "", ""),
        ("b) two", "", "B", ""), ("E", "", "", ""), ("The best option is C", "", "", "C"),
        ("Best Answer: C", "", "", "B"), ("I think it is an apple", "", "", ""), ("AB", "", "", "A"),
    ]

    @Test(arguments: answers)
    func `letters are read as the benchmarks' own code does`(
        text: String, mlvu: String, mvBench: String, videoMME: String
    ) throws {
        for (format, entry, wanted) in [
            (EvaluationFormat.mlvu, Self.mlvu(), mlvu), (.mvBench, Self.mvBench, mvBench),
            (.videoMME, Self.videoMME(), videoMME),
        ] {
            let result = try #require(evaluation(format, entry).results([text]).all.first)
            #expect(result.letter ?? "" == wanted, "\(format)")
            #expect(result.isCorrect == (wanted == "B"), "\(format)")
        }
    }

    @Test func `with the letter prompt the first letter of an option counts`() throws {
        for (format, entry) in [
            (EvaluationFormat.mlvu, Self.mlvu()), (.mvBench, Self.mvBench), (.videoMME, Self.videoMME()),
            (.egoSchema, Self.egoSchema),
        ] {
            let evaluation = try evaluation(format, entry, prompt: .letter)
            for (text, wanted) in [
                ("B.", "B"), ("it is (C)", "C"), ("nothing", nil), ("E", format == .egoSchema ? "E" : nil),
            ] {
                #expect(evaluation.results([text]).all.first?.letter == wanted, "\(format) \(text)")
            }
        }
        #expect(throws: LongtakeError.self) { try evaluation(.videoQA, Self.videoQA, prompt: .letter) }
    }

    @Test func `averages are the benchmarks' own`() throws {
        // One of two right in one task, one of one in the other.
        let mlvu = try evaluation(.mlvu, "[\(Self.mlvu()),\(Self.mlvu()),\(Self.mlvu(task: "count"))]")
        let means = mlvu.results(["B)", "A)", "B)"])
        #expect(means.score.average == 75 && means.score.correct == 2 && means.score.counted == 3)
        try mlvu.writeScores(means, to: folder.path + "/bench_all.json")
        let scores = try #require(try json("bench_all.json") as? [String: Double])
        #expect(scores == ["findNeedle": 50, "count": 100, "Avg": 75])

        // Answers without a letter do not count in Video-MME.
        let mme = try evaluation(
            .videoMME, "[\(Self.videoMME()),\(Self.videoMME("002", duration: "long")),\(Self.videoMME("003"))]")
        let score = mme.results(["B", "nothing", "C"]).score
        #expect(score.average == 50 && score.counted == 2 && score.unread == 1)
        #expect(score.categories.filter { $0.kind == "duration" }.map(\.name) == ["short"])
        #expect(throws: LongtakeError.self) {
            try mme.writeScores(mme.results([nil, nil, nil]), to: folder.path + "/s")
        }

        // Unanswered questions do not count anywhere.
        #expect(mlvu.results(["B)", nil, nil]).score.average == 100)
    }

    // MARK: Writing

    @Test func `predictions have the form that each benchmark takes`() throws {
        func predictions(_ evaluation: Evaluation, _ answers: [String?], _ name: String) throws -> Any {
            try evaluation.writePredictions(evaluation.results(answers), to: folder.path + "/" + name)
            return try json(name)
        }
        let dev = try #require(
            predictions(evaluation(.mlvu, "[\(Self.mlvu()),\(Self.mlvu())]"), ["B) two", nil], "p.json")
                as? [String: Any])
        #expect(dev["acc_dict"] as? [String: [Int]] == ["findNeedle": [1, 1]])
        let saved = try #require((dev["res_list"] as? [[String: String]])?.first)
        #expect(saved["pred"] == "B) two" && saved["gt"] == "(B) two" && saved["question_type"] == "findNeedle")
        #expect(saved["video"] == "needle_32.mp4")
        #expect(saved["question"] == "Question: How many?\nOptions:\n(A) one\n(B) two\n(C) three\n(D) four")

        let test = Self.mlvu().replacing("\"answer\": \"two\"", with: "\"question_id\": \"AR_0\"")
        let options = try predictions(evaluation(.mlvu, "[\(test),\(test)]"), ["B) two", "x y"], "p.json")
        let wanted = [
            ["question_id": "AR_0", "question_type": "findNeedle", "option": "B"],
            ["question_id": "AR_0", "question_type": "findNeedle", "option": "x y"],
        ]
        #expect(options as? [[String: String]] == wanted)

        let summary = #"{"video": "217.mp4", "question": "Summarize.", "answer": "Waves.", "question_type": "summary"}"#
        #expect(
            try predictions(evaluation(.mlvu, "[\(summary)]"), ["A boat."], "p.json") as? [[String: String]]
                == [["video_name": "217.mp4", "Q": "Summarize.", "A": "Waves.", "pred": "A boat."]])
        let mixed = try evaluation(.mlvu, "[\(summary),\(Self.mlvu())]")
        #expect(throws: LongtakeError.self) { try predictions(mixed, ["a", "b"], "p.json") }

        let bench = try #require(
            predictions(evaluation(.mvBench, Self.mvBench, name: "action_sequence.json"), ["B) two\nmore"], "p.json")
                as? [String: Any])
        #expect(bench["acc_dict"] as? [String: [Int]] == ["Action Sequence": [1, 1]])
        #expect(bench["res_list"] as? [[String: String]] == [["pred": "(B) two", "gt": "(B) two"]])

        let ego = try evaluation(.egoSchema, "[\(Self.egoSchema),\(Self.egoSchema.replacing("0074", with: "0075"))]")
        #expect(
            try predictions(ego, ["C", "none"], "p.json") as? [String: Int] == [
                "0074f737-11cb": 2, "0075f737-11cb": -1,
            ])
        try ego.writePredictions(ego.results(["C", nil]), to: folder.path + "/submission.csv")
        #expect(try read("submission.csv") == "q_uid,answer\n0074f737-11cb,2\n")

        let mme = try #require(
            predictions(
                evaluation(.videoMME, "[\(Self.videoMME()),\(Self.videoMME("002"))]"), ["B. two", nil], "p.json")
                as? [[String: Any]])
        #expect(
            mme.map { $0["missing"] as? Bool } == [false, true]
                && mme.map { $0["video_id"] as? String } == ["001", "002"])
        let question = try #require((mme[0]["questions"] as? [[String: Any]])?.first)
        #expect(Set(question.keys) == ["question_id", "task_type", "question", "options", "answer", "response"])
        #expect(question["response"] as? String == "B. two")

        let open = try evaluation(.videoQA, Self.videoQA, answers: #"[{"answer": "yes", "question_id": "v_1Q_3"}]"#)
        #expect(
            try predictions(open, ["it is"], "p.json") as? [[String: String]]
                == [["video_name": "v_1Q", "Q": "who is it", "A": "yes", "pred": "it is"]])
        try open.writePredictions(open.results(["it is"]), to: folder.path + "/merge.jsonl")
        #expect(
            try read("merge.jsonl") == #"{"answer":"yes","id":"v_1Q_3","pred":"it is","question":"who is it"}"# + "\n")
        let blind = try evaluation(.videoQA, Self.videoQA)
        #expect(throws: LongtakeError.self) { try predictions(blind, ["it is"], "p.json") }
        #expect(throws: Failure.self) {
            try ego.writePredictions(ego.results(["C", "C"]), to: folder.path + "/none/p.json")
        }
    }
}
