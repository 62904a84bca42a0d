import Foundation
import Testing

/// `ask --answer` and the key `answer` of a pipeline, with the bundled model and recordings of its world.
@Suite struct AnswerFormCommandTests {
    private static let model = BundledModelTests.repository + "/Models/nano"
    private static let desk = BundledModelTests.folder + "test-1001730.mkv"

    private func ask(_ tool: Tool, _ arguments: String...) throws -> Tool.Result {
        try tool.run(["ask", Self.desk] + arguments + ["--model", Self.model])
    }

    @Test func `a program gets one word, and a value in the JSON`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let text = try ask(tool, "How many things are there in all?", "--answer", "number")
        #expect(text.status == 0 && text.text == "3\n", "\(text.errors)")
        let number = try ask(tool, "How many things are there in all?", "--answer", "number", "--json").object()
        #expect(number["value"] as? Double == 3 && number["answer"] as? String == "3")
        #expect(number["said"] as? String == "three" && number["form"] as? String == "number")
        let place = try ask(
            tool, "In which place is the green circle?", "--answer", "choice:on the right,on the left", "--json"
        ).object()
        #expect(place["value"] as? String == "on the left" && place["said"] == nil)
        let free = try ask(tool, "How many things are there in all?", "--json").object()
        #expect(free["value"] == nil && free["form"] == nil && free["answer"] as? String == "three")
    }

    @Test func `each question has its form`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try Data("# forms after a tab\nIs there a green circle?\tyes_no\nDescribe what happens.\n".utf8)
            .write(to: URL(filePath: tool.path("questions.txt")))
        let schema =
            #"{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9}},"required":["n"]}"#
        try Data(schema.utf8).write(to: URL(filePath: tool.path("schema.json")))
        let answers = try ask(tool, "--questions", tool.path("questions.txt"), "--answer", "json:schema.json", "--json")
            .lines()
        #expect(answers.map { $0["form"] as? String } == ["yes_no", "json"])
        #expect(answers[0]["value"] as? Bool == true)
        let value = try #require(answers[1]["value"] as? [String: Any])
        #expect(value.keys.sorted() == ["n"] && (0...9).contains(value["n"] as? Int ?? -1))
        let two = try ask(tool, "Is it there?", "When is it there?", "--answer", "yes_no", "--answer", "time", "--json")
            .lines()
        #expect(two[0]["value"] is Bool && two[1]["value"] is Double)
        #expect((two[1]["answer"] as? String)?.wholeMatch(of: /\d\d:\d\d:\d\d/) != nil)
    }

    @Test(arguments: [
        (["--answer", "yesno"], "did you mean yes_no?"), (["--answer", "json:none.json"], "none.json: cannot be read"),
        (["--answer", "yes_no", "--answer", "time"], "--answer is given 2 times for 1 question"),
        (["--answer", "number", "--max-tokens", "3"], "allow at least 21 (--max-tokens sets the limit)"),
    ])
    func `a form that cannot be used ends with status 64`(options: [String], message: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run(["ask", Self.desk, "How many?"] + options + ["--model", Self.model])
        #expect(result.status == 64 && result.errors.contains(message), "\(result.status) \(result.errors)")
    }

    private func pipeline(_ answer: String, _ tool: Tool) throws -> String {
        let path = tool.path("forms.yaml")
        let text = """
            version: 1
            inputs: [\(Self.desk)]
            output: answers.jsonl
            questions:
              - id: here
                ask: Is there a green circle?
                \(answer)
              - How many things are there in all?
            """
        try Data(text.utf8).write(to: URL(filePath: path))
        return path
    }

    @Test func `a pipeline's form is part of the answer's key`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        func run(_ answer: String) throws -> [String: Any] {
            let result = try tool.run("run", try pipeline(answer, tool), "--json", "--model", Self.model)
            #expect(result.status == 0, "\(result.errors)")
            return try #require(try result.lines().last)
        }
        #expect(try run("fusion: auto")["answers"] as? Int == 2)
        #expect(try run("answer: yes_no")["answers"] as? Int == 1)
        #expect(try run("answer: yes_no")["answers"] as? Int == 0)
        #expect(try run("answer: {choice: [there, not there]}")["answers"] as? Int == 1)
        #expect(
            try run("answer: {json: {type: object, properties: {here: {type: boolean}}, required: [here]}}")["answers"]
                as? Int == 1)
        let lines = try Data(contentsOf: URL(filePath: tool.path("answers.jsonl"))).split(separator: UInt8(ascii: "\n"))
            .map { try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any]) }
        #expect(lines.map { $0["form"] as? String } == [nil, nil, "yes_no", "choice", "json"])
        #expect(lines[2]["value"] as? Bool == true)
        #expect((lines[4]["value"] as? [String: Any])?["here"] is Bool)
    }

    @Test(arguments: [
        ("answer: yesno", "forms.yaml:7:13: `answer`: unknown form \"yesno\""),
        ("answer: {choice: yes}", "forms.yaml:7:22: `answer`: the choices must be a list of texts"),
        ("answer: {json: {type: string, maxLenght: 3}}", "did you mean \"maxLength\"?"),
        ("answer: {choice: [a], json: {type: \"null\"}}", "a form has one key, choice or json"),
    ])
    func `a form that is wrong is named with line and column`(answer: String, message: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("run", try pipeline(answer, tool), "--model", Self.model)
        #expect(result.status == 64 && result.errors.contains(message), "\(result.status) \(result.errors)")
    }

    @Test func `the search for tokens is measured with a tokenizer alone`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
            try FileManager.default.copyItem(atPath: "\(Self.model)/\(name)", toPath: tool.path(name))
        }
        let report = try tool.run("bench", "forms", tool.folder.path, "--runs", "2").object()
        let states = try #require(report["states"] as? [[String: Any]])
        #expect(report["vocabulary"] as? Int ?? 0 > 256 && states.count == 8)
        #expect(states.allSatisfy { $0["tokens"] as? Int ?? 0 > 0 && $0["milliseconds"] is Double })
        #expect(try tool.run("bench", "forms", tool.folder.path, "--runs", "0").status == 64)
    }
}
