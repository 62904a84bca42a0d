import Foundation
import Testing

@Suite struct ChatCommandTests {
    @Test func `a conversation over a pipe has one line per answer`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let said = "What is seen?\n\n/range 2 5\nWho comes in?\n/range\n/evidence\n/nonsense\n/quit\nnever asked\n"
        let chat = try tool.run("chat", video, "--max-tokens", "6", input: Data(said.utf8))
        #expect(chat.status == 0, "\(chat.errors)")
        let first = try tool.run("ask", video, "What is seen?", "--max-tokens", "6").text
        #expect(chat.text.hasPrefix(first))
        #expect(chat.text.split(separator: "\n", omittingEmptySubsequences: false).count == 4, "\(chat.text)")
        #expect(chat.errors.contains("/range FROM TO"))
        #expect(!chat.errors.contains("> "))
        let lines = try tool.run("chat", video, "--max-tokens", "6", "--json", input: Data("What?\nWho?\n".utf8))
            .lines()
        #expect(lines.map { $0["question"] as? String } == ["What?", "Who?"])
        #expect(lines.allSatisfy { $0["frames"] as? Int == 12 })
        #expect(try tool.run("chat", video, input: Data()).status == 0, "nothing was asked")
        #expect(try tool.run("chat", "-").status == 64)
        #expect(try tool.run("chat", "vid_0000000000000000").status == 10)
    }

    @Test func `a question that is too long is told, and the conversation goes on`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let long = String(repeating: "why ", count: 30_000)
        let chat = try tool.run(
            "chat", Fixtures.video.get(), "--max-tokens", "3", "--json", input: Data("\(long)\nWhat?\n".utf8))
        #expect(chat.status == 0, "\(chat.errors)")
        #expect(try chat.lines().map { $0["question"] as? String } == ["What?"])
        #expect(chat.errors.contains("65536"))
    }

    @Test func `answers become subtitles, markers and tables`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let answers = try tool.run(
            "ask", video, "What is seen?", "Who comes in?", "--max-tokens", "4", "--json", "--segments", "6")
        try answers.output.write(to: URL(filePath: tool.path("a.jsonl")))
        for format in ["jsonl", "csv", "vtt", "srt", "otio", "edl", "chapters"] {
            let made = try tool.run("export", video, "--answers", "a.jsonl", "--format", format)
            #expect(made.status == 0 && !made.text.isEmpty, "\(format): \(made.errors)")
        }
        let id = try #require(answers.lines().first?["recording"] as? [String: Any])["id"] as? String ?? ""
        let piped = try tool.run(
            "export", id, "--answers", "-", "--format", "jsonl", input: answers.output)
        #expect(try piped.lines().count == 4)
        // All that was ever answered about it is in the catalogue.
        let kept = try tool.run("export", id, "--format", "jsonl")
        #expect(try kept.lines().compactMap { $0["segment"] as? [Double] } == [[0, 6], [0, 6], [6, 12], [6, 12]])
        #expect(kept.output == piped.output)
        #expect(try tool.run("export", video, "--answers", "a.jsonl", "--format", "xml").status == 64)
        #expect(try tool.run("export", video, "--answers", "none", "--format", "csv").status == 64)
        #expect(try tool.run("export", "vid_0000000000000000", "--answers", "a.jsonl", "--format", "csv").status == 10)
    }

    @Test func `a contact sheet of a recording`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = tool.path("day.mp4")
        try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: video)
        #expect(try tool.run("index", video).status == 0)
        let shown = try tool.run("show", video, "--contact-sheet", "sheet.png", "--images", "4")
        #expect(shown.status == 0, "\(shown.errors)")
        let png = try Data(contentsOf: URL(filePath: tool.path("sheet.png")))
        #expect(png.starts(with: [0x89, 0x50, 0x4E, 0x47]))
        try FileManager.default.removeItem(atPath: video)
        let gone = try tool.run("show", video, "--contact-sheet", "other.png")
        #expect(gone.status == 0 && gone.errors.contains("note:"), "\(gone.errors)")
        #expect(!FileManager.default.fileExists(atPath: tool.path("other.png")))
    }

    @Test func `notes name their file`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try Fixtures.cut(Fixtures.video.get(), to: tool.path("cut.mp4"), part: 0.6)
        let asked = try tool.run("chat", "cut.mp4", "--max-tokens", "1", input: Data("What is it?\n".utf8))
        let notes = asked.errors.split(separator: "\n").filter { $0.contains("partial") || $0.contains("cut off") }
        #expect(!notes.isEmpty && notes.allSatisfy { $0.contains("cut.mp4: ") }, "\(asked.errors)")
        // What is said of the model does not.
        #expect(asked.errors.contains("note: random weights"))
        let written = try tool.run("frames", "cut.mp4", "--out", "f")
        #expect(written.errors.contains("note: cut.mp4: "), "\(written.errors)")
    }
}
