import Foundation
import Testing

@Suite struct EvidenceTests {
    @Test func `the document says what the answer was read from`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let answer = try tool.run(
            "ask", Fixtures.video.get(), "What is seen?", "--max-tokens", "12", "--json", "--evidence", "2"
        ).object()
        let evidence = try #require(answer["evidence"] as? [[String: Any]])
        #expect(evidence.count <= 2)
        for stretch in evidence {
            #expect(
                Set(stretch.keys) == [
                    "start", "end", "score", "frame", "start_from_first_frame", "end_from_first_frame",
                ])
            #expect(stretch["frame"] is Int)
        }
        #expect(answer["created"] as? String != "")
        #expect(answer["attention"] == nil, "one number per frame is no document")
    }

    @Test func `standard output is the answer alone unless evidence is asked for`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let asked = ["ask", try Fixtures.video.get(), "What is seen?", "--max-tokens", "6"]
        let plain = try tool.run(asked).text
        let more = try tool.run(asked + ["--evidence", "1"]).text
        #expect(!plain.contains("seen "))
        #expect(more.hasPrefix(plain))
        let line = more.dropFirst(plain.count)
        #expect(line.hasPrefix("seen at ") ? line.contains("–") : line == "not seen at a particular time\n", "\(line)")
        #expect(try tool.run(asked + ["--evidence", "-1"]).status == 64)
        #expect(try tool.run(asked + ["--focus", "some"]).status == 64)
    }

    @Test func `an answer that must be seen and is not is not found`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let model = try AskCommandTests.model(in: tool, edit: "config.json") {
            $0["longtake_evidence"] = ["heads": [[1, 0]], "found": 1] as [String: Any]
        }
        let asked = ["ask", try Fixtures.video.get(), "What is seen?", "--max-tokens", "6", "--model", model]
        let free = try tool.run(asked + ["--json"]).object()
        #expect(free["found"] as? Bool == false)
        #expect((free["evidence"] as? [Any])?.isEmpty == true)
        let strict = try tool.run(asked + ["--must-be-seen", "--json"])
        #expect(strict.status == 0)
        let answer = try strict.object()
        if answer["said"] != nil {
            #expect(answer["answer"] as? String == "not found in this recording")
            #expect(answer["said"] as? String == free["answer"] as? String)
        }
        #expect(answer["token_ids"] as? [Int] == free["token_ids"] as? [Int])
    }

    @Test func `a second look has both answers`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let answer = try tool.run(
            "ask", Fixtures.video.get(), "What is seen?", "--max-tokens", "6", "--focus", "2", "--json"
        ).object()
        let focus = try #require(answer["focus"] as? [String: Any])
        #expect((focus["frames"] as? [Int])?.count ?? 3 <= 2)
        #expect(focus["answer"] is String && focus["changed"] is [String])
        #expect((answer["fusion"] as? [String: Any])?["of"] as? Int == 12)
    }

    @Test func `pictures of the evidence`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let out = tool.path("seen")
        let answer = try tool.run(
            "ask", Fixtures.video.get(), "What is seen?", "--max-tokens", "6", "--thumbnails", out, "--json"
        ).object()
        let evidence = try #require(answer["evidence"] as? [[String: Any]])
        let files = answer["thumbnails"] as? [String] ?? []
        #expect(files.count == (evidence.isEmpty ? 0 : evidence.count + 1))
        for file in files {
            let bytes = try Data(contentsOf: URL(filePath: file))
            #expect(bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]))
        }
    }

    @Test func `one answer per window, as text, lines, a table and subtitles`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let asked = ["ask", try Fixtures.video.get(), "What is seen?", "--max-tokens", "3", "--segments", "5"]
        let text = try tool.run(asked)
        #expect(text.status == 0, "\(text.errors)")
        let lines = text.text.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.first?.hasPrefix("00:00:00–00:00:05 ") == true)
        let rows = try tool.run(asked + ["--json"]).lines()
        #expect(rows.map { $0["segment"] as? [Double] } == [[0, 5], [5, 10], [10, 12]])
        #expect(rows.map { $0["frames"] as? Int } == [5, 5, 2])
        let table = try tool.run(asked + ["--format", "csv"]).text
        #expect(table.hasPrefix("recording,path,question,answer,found,start,end,"))
        #expect(table.components(separatedBy: "\r\n").count == 5)
        let subtitles = try tool.run(asked + ["--format", "vtt"]).text
        #expect(subtitles.hasPrefix("WEBVTT\n") && subtitles.contains("00:00:05.000 --> 00:00:10.000\n"))
        #expect(try tool.run(asked + ["--format", "xml"]).status == 64)
        #expect(try tool.run(asked + ["--format", "csv", "--json"]).status == 64)
        #expect(try tool.run(Array(asked.dropLast()) + ["0.1"]).status == 64)
    }

    @Test func `questions from a file and from standard input`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try Data("Who comes in?\n\n  \nWhat is seen?\n".utf8).write(to: URL(filePath: tool.path("q.txt")))
        let video = try Fixtures.video.get()
        let file = try tool.run("ask", video, "--questions", "q.txt", "--max-tokens", "3", "--json").lines()
        #expect(file.map { $0["question"] as? String } == ["Who comes in?", "What is seen?"])
        let piped = try tool.run(
            "ask", video, "--questions", "-", "--max-tokens", "3", "--json", input: Data("Who comes in?".utf8)
        ).object()
        #expect(piped["token_ids"] as? [Int] == file[0]["token_ids"] as? [Int])
        #expect(try tool.run("ask", video, "--questions", "none.txt").status == 14)
        #expect(try tool.run("ask", "-", "--questions", "-").status == 64)
    }

    @Test func `several recordings are ranked, and one that fails does not end the others`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let folder = tool.path("rec")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["a", "b"] {
            let source = name == "a" ? "testsrc2" : "smptebars"
            try Fixtures.ffmpeg("-f", "lavfi", "-i", "\(source)=size=96x64:rate=5:duration=3", folder + "/\(name).mp4")
        }
        try Data("no video at all, only words".utf8).write(to: URL(filePath: folder + "/c.mp4"))
        let asked = ["ask", folder, "What is seen?", "--max-tokens", "3"]
        let lines = try tool.run(asked + ["--json"])
        #expect(lines.status == 3, "\(lines.errors)")
        let rows = try lines.lines()
        #expect(rows.count == 3)
        let ranking = try #require(rows.last)
        #expect(ranking["message_type"] as? String == "ranking")
        #expect((ranking["recordings"] as? [[String: Any]])?.map { $0["rank"] as? Int } == [1, 2])
        #expect(lines.errors.contains("c.mp4"))
        let text = try tool.run("ask", folder + "/a.mp4", folder + "/b.mp4", "What is seen?", "--max-tokens", "3")
        #expect(text.status == 0, "\(text.errors)")
        let ranks = text.text.split(separator: "\n")
        #expect(ranks.count == 2 && ranks[0].hasPrefix("1. ") && ranks[1].hasPrefix("2. "))
        // Ids name recordings too, wherever they stand.
        let ids = rows.dropLast().compactMap { ($0["recording"] as? [String: Any])?["id"] as? String }
        let byID = try tool.run(["ask"] + ids + ["What is seen?", "--max-tokens", "3", "--json"]).lines()
        #expect(byID.count == 3)
    }
}
