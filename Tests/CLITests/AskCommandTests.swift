import Foundation
import Testing

@Suite struct AskCommandTests {
    @Test func `a file is indexed on the way, and the answer has all its parts`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let first = try tool.run("ask", Fixtures.video.get(), "What is seen?", "--max-tokens", "12", "--json")
        #expect(first.status == 0, "\(first.errors)")
        let answer = try first.object()
        for key in [
            "answer", "token_ids", "recording", "frames", "range", "fusion", "timings", "model", "notes", "found",
        ] {
            #expect(answer[key] != nil, "\(key)")
        }
        #expect(answer["frames"] as? Int == 12)
        #expect(answer["range"] as? [Double] == [0, 11])
        #expect((answer["notes"] as? [String])?.contains { $0.contains("random weights") } == true)
        #expect((answer["token_ids"] as? [Int])?.isEmpty == false)
        let recording = try #require(answer["recording"] as? [String: Any])
        let id = try #require(recording["id"] as? String)

        let again = try tool.run("ask", id, "What is seen?", "--max-tokens", "12", "--json").object()
        #expect(again["token_ids"] as? [Int] == answer["token_ids"] as? [Int])
        #expect((again["timings"] as? [String: Any])?["seconds_per_frame"] == nil, "nothing is indexed twice")

        let text = try tool.run("ask", String(id.prefix(12)), "What is seen?", "--max-tokens", "12")
        #expect(text.text == (answer["answer"] as? String ?? "") + "\n")
        #expect(!text.errors.contains("\r"), "no rewriting of lines where there is no terminal")
    }

    @Test func `several questions at once get the answers of single ones`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let asked = ["What is seen?", "Who comes in?"]
        let single = try asked.map {
            try tool.run("ask", Fixtures.video.get(), $0, "--max-tokens", "8", "--json").object()
        }
        let both = try tool.run("ask", Fixtures.video.get(), asked[0], asked[1], "--max-tokens", "8")
        #expect(both.status == 0, "\(both.errors)")
        let lines = zip(asked, single).map { "\($0) \($1["answer"] as? String ?? "")\n" }
        #expect(both.text == lines.joined())
        let rows = try tool.run("ask", Fixtures.video.get(), asked[0], asked[1], "--max-tokens", "8", "--json").text
        #expect(rows.split(separator: "\n").count == 2, "one object per line")

        let words = try tool.run("ask", Fixtures.video.get(), "Who", "comes", "in?")
        #expect(words.status == 64)
        #expect(words.errors.contains("quotes"))
    }

    @Test func `twelve questions of a file get the answers of single ones, in their order`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let texts = (1...12).map { "What is seen \($0) times" + String(repeating: ", really", count: $0 % 4) + "?" }
        try Data(texts.joined(separator: "\n").utf8).write(to: URL(filePath: tool.path("questions.txt")))
        let options = ["--max-tokens", "7", "--temperature", "1.2", "--seed", "3"]
        let video = try Fixtures.video.get()
        let all = try tool.run(["ask", video, "--questions", tool.path("questions.txt"), "--json"] + options)
        #expect(all.status == 0, "\(all.errors)")
        let answers = try all.lines()
        #expect(answers.compactMap { $0["question"] as? String } == texts)
        for (text, answer) in zip(texts, answers) {
            let single = try tool.run(["ask", video, text, "--json"] + options).object()
            for key in ["answer", "stop"] { #expect(answer[key] as? String == single[key] as? String, "\(text)") }
            #expect(answer["token_ids"] as? [Int] == single["token_ids"] as? [Int], "\(text)")
            // Without AVX-512 the last bits of a library's f32 products depend on how many rows it multiplies at once.
            let certainty = try [answer, single].map { try #require($0["certainty"] as? Double) }
            #expect(abs(certainty[0] - certainty[1]) <= 1e-5 * certainty[1], "\(text)")
        }
        let printed = try tool.run(["ask", video, "--questions", tool.path("questions.txt")] + options)
        let singles = try texts.map { "\($0) " + (try tool.run(["ask", video, $0] + options).text) }
        #expect(printed.text == singles.joined())
    }

    @Test func `a range without frames is an answer, not an error`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("ask", Fixtures.video.get(), "What is seen?", "--from", "01:00:00", "--json")
        #expect(result.status == 0)
        let answer = try result.object()
        #expect(answer["found"] as? Bool == false)
        #expect(answer["answer"] as? String == "no frames in range")
        #expect(answer["frames"] as? Int == 0)
    }

    @Test func `a range takes the frames from its start up to its end`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let answer = try tool.run(
            "ask", Fixtures.video.get(), "What?", "--from", "2", "--to", "00:05", "--max-tokens", "2", "--json"
        ).object()
        #expect(answer["range"] as? [Double] == [2, 4])
        #expect(answer["frames"] as? Int == 3)
    }

    @Test func `the same seed gives the same answer, another one another`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        func ids(_ seed: String) throws -> [Int] {
            let answer = try tool.run(
                "ask", Fixtures.video.get(), "What?", "--temperature", "5", "--seed", seed, "--max-tokens", "12",
                "--json"
            ).object()
            return try #require(answer["token_ids"] as? [Int])
        }
        let first = try ids("7")
        #expect(try ids("7") == first)
        #expect(try ids("8") != first)
    }

    @Test(arguments: [
        ("", "empty"), (" \n\t", "empty"), (String(repeating: "why ", count: 30_000), "65536"),
    ])
    func `questions that are none are usage errors with the limit`(question: String, word: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("ask", Fixtures.video.get(), question)
        #expect(result.status == 64)
        #expect(result.errors.contains(word), "\(result.errors)")
        #expect(!FileManager.default.fileExists(atPath: tool.path("cache/indexes/x")))
        let listed = try tool.run("ls", "--json").list()
        #expect(listed.isEmpty, "refused before hours of indexing")
    }

    @Test func `a question that is no UTF-8 is a usage error`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        // The shell hands over the bytes.
        let script = "exec '\(Tool.executable.path)' ask '\(try Fixtures.video.get())' \"$(printf 'What \\377\\376?')\""
        let result = try Child(tool, shell: script).end()
        #expect(result.status == 64)
        #expect(result.errors.contains("UTF-8"), "\(result.errors)")
    }

    @Test func `a prompt longer than the context is refused with the numbers`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let model = try Self.model(in: tool, edit: "config.json") { $0["max_position_embeddings"] = 128 }
        let result = try tool.run(
            "ask", Fixtures.video.get(), "What?", "--model", model, "--max-tokens", "200", "--json")
        #expect(result.status == 15)
        let error = try result.exitError()
        #expect(error["code"] as? Int == 15)
        let message = try #require(error["message"] as? String)
        #expect(message.contains("128"), "\(message)")
        #expect(message.contains("12"), "the frames: \(message)")
    }

    @Test func `what a model says cannot command a terminal`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let ids = try #require(
            tool.run("ask", Fixtures.video.get(), "What is seen?", "--max-tokens", "2", "--json").object()["token_ids"]
                as? [Int])
        // The escape character takes the place of the first token that the model says.
        let model = try Self.model(in: tool, edit: "tokenizer.json") { json in
            guard var model = json["model"] as? [String: Any], var vocabulary = model["vocab"] as? [String: Int],
                let escape = vocabulary["\u{11B}"], let said = vocabulary.first(where: { $0.value == ids[0] })?.key
            else { return }
            vocabulary["\u{11B}"] = ids[0]
            vocabulary[said] = escape
            model["vocab"] = vocabulary
            json["model"] = model
        }
        let asked = ["ask", try Fixtures.video.get(), "What is seen?", "--max-tokens", "2", "--model", model]
        let json = try tool.run(asked + ["--json"])
        let answer = try #require(try json.object()["answer"] as? String)
        #expect(answer.contains("\u{1B}"), "the test's own premise: \(answer.debugDescription)")
        #expect(json.text.contains("\\u001b"))
        let plain = try tool.run(asked)
        #expect(!plain.text.contains("\u{1B}"))
        #expect(plain.text.count + answer.count { $0 == "\u{1B}" } >= answer.count)
    }

    @Test func `a still picture is asked about with --image, and pointed there without`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let picture = tool.path("picture.png")
        try Fixtures.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=200x100:duration=1:rate=1", "-frames:v", "1", picture)
        let result = try tool.run("ask", "--image", picture, "What is this?", "--max-tokens", "3", "--json")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.object()["frames"] as? Int == 1)
        let video = try tool.run("ask", picture, "What is this?")
        #expect(video.status == 14)
        #expect(video.errors.contains("--image"))
    }

    /// A copy of the fixture's model with one JSON file changed.
    static func model(in tool: Tool, edit file: String, _ change: (inout [String: Any]) -> Void) throws -> String {
        let path = tool.path("model-\(UUID().uuidString)")
        try FileManager.default.copyItem(atPath: Fixtures.model.get(), toPath: path)
        let url = URL(filePath: path + "/" + file)
        var json = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
        change(&json)
        try JSONSerialization.data(withJSONObject: json).write(to: url)
        return path
    }
}
