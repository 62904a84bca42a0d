import Foundation
import Testing

@Suite struct AskArgumentsTests {
    /// A word that looks like a recording and is not one ends the command before anything is asked.
    @Test(arguments: [
        (["VIDEO", "nosuch.mp4", "What color is the star?"], 14, "nosuch.mp4: no such file"),
        (["VIDEO", "What color is the star?", "nosuch.mp4"], 14, "nosuch.mp4: no such file"),
        (["VIDEO", "no such recording.MKV", "What color?"], 14, "no such recording.MKV: no such file"),
        (["VIDEO", "monday/cam1", "What color?"], 14, "monday/cam1: no such file"),
        (["VIDEO", "./monday cam", "What color?"], 14, "./monday cam: no such file"),
        (["VIDEO", "monday cam/", "What color?"], 14, "monday cam/: no such file"),
        (["VIDEO", "nosuch.png", "What color?"], 14, "nosuch.png: no such file"),
        (["VIDEO", "nosuch.mp4"], 14, "nosuch.mp4: no such file"),
        (["nosuch.mp4", "VIDEO", "What color?"], 14, "nosuch.mp4: no such file"),
        (["nosuch.mp4", "What color?"], 14, "nosuch.mp4"),
        (["VIDEO", "vid_0123456789abcdef", "What color?"], 10, "vid_0123456789abcdef"),
        (["VIDEO", "0123456789abcdef0123456789abcdef", "What color?"], 10, "0123456789abcdef"),
        (["VIDEO", "What color?", "vid_0123456789abcdef"], 64, "give recordings before the questions"),
        (["VIDEO", "What color?", "VIDEO"], 64, "give recordings before the questions"),
        (["VIDEO", "VIDEO"], 64, "no question: give it after the recording"),
        (["VIDEO", "vid_0123456789abcdef"], 64, "no question: give it after the recording"),
        (["VIDEO", "nosuch.mp4", "--questions", "q.txt"], 14, "nosuch.mp4: no such file"),
    ])
    func `a word that looks like a recording is never a question`(
        words: [String], status: Int32, message: String
    ) throws {
        let tool = try Tool()
        defer { tool.remove() }
        try Data("What color?\n".utf8).write(to: URL(filePath: tool.path("q.txt")))
        let video = try Fixtures.video.get()
        let result = try tool.run(["ask"] + words.map { $0 == "VIDEO" ? video : $0 } + ["--max-tokens", "2"])
        #expect(result.status == status, "\(result.errors)")
        #expect(result.errors.contains(message), "\(result.errors)")
        #expect(result.text.isEmpty, "nothing was asked")
    }

    @Test(arguments: [
        "Is a/b shown?", "Is it 1.5 or 2.0?", "Which mp4 files are open on the screen?", "門/窗開著嗎？", "Why?",
    ])
    func `a question with a slash or a dot is a question`(question: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("ask", Fixtures.video.get(), question, "--max-tokens", "2", "--json")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.object()["question"] as? String == question)
    }

    @Test func `the text to search for is not a recording`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        #expect(try tool.run("search", "nosuch.mp4").status == 14)
        let swapped = try tool.run("search", Fixtures.video.get(), "a red car")
        #expect(swapped.status == 64)
        #expect(swapped.errors.contains("comes first"))
    }

    /// Questions share one look into the file and one pass over it.
    @Test func `a hundred questions about a new file start two workers`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let log = try tool.countWorkers()
        let questions = (1...100).map { "Is it \($0)?" }.joined(separator: "\n")
        try Data(questions.utf8).write(to: URL(filePath: tool.path("q.txt")))
        let result = try tool.run(
            "ask", Fixtures.video.get(), "--questions", "q.txt", "--max-tokens", "1", "--json")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.lines().count == 100)
        #expect(try log().count == 2)
    }
}

extension Tool {
    /// Makes every decode worker write a line, and returns what reads the lines.
    mutating func countWorkers() throws -> () throws -> [Substring] {
        let (script, log) = (path("worker.sh"), path("workers.log"))
        try Data("#!/bin/sh\necho \"$1\" >>'\(log)'\nexec '\(Self.executable.path)' \"$@\"\n".utf8)
            .write(to: URL(filePath: script))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        environment["LONGTAKE_WORKER"] = script
        return { try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n") }
    }
}
