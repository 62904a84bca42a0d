import Foundation
import Testing

@Suite struct MessageTests {
    static let dangerous = "\u{1B}]0;x\u{7}\u{9B}31m\u{202E}"

    /// No argument, name or id brings a control character to standard error.
    @Test(arguments: [
        ["ask", dangerous + ".mp4", "What?"], ["index", "--" + dangerous], ["index", "x", "--fps=" + dangerous],
        ["index", "x", "--min-age", dangerous], [dangerous], ["help", dangerous], ["model", dangerous],
        ["ls", dangerous], ["run", dangerous], ["search", dangerous, "--limit", "a" + dangerous],
        ["index", "x", "--fps", "1\n\nlongtake: done"],
    ])
    func `no control character reaches a terminal`(arguments: [String]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        for more in [[], ["--json"]] {
            let result = try tool.run(arguments + more)
            #expect(result.status != 0)
            let bad = (result.errors + result.text).unicodeScalars.filter {
                ($0.value < 0x20 && $0 != "\n") || (0x7F..<0xA0).contains($0.value) || $0 == "\u{202E}"
            }
            #expect(bad.isEmpty, "\(arguments) \(bad)")
            #expect(!result.errors.contains("\nlongtake: done"))
        }
    }

    @Test func `a question's id and a table are harmless on a terminal`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.createDirectory(atPath: tool.path("rec"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: tool.path("rec/a.mp4"))
        let yaml = "version: 1\ninputs: [rec]\noutput: o\nquestions:\n  - {id: \"\\e[31mred\", ask: What is seen?}\n"
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        #expect(try !tool.run("run", "p.yaml").text.contains("\u{1B}"))
        // script gives the program a terminal.
        let asked = "\u{1B}[31mWhat is seen?"
        let command = "'\(Tool.executable.path)' ask rec/a.mp4 \"$Q\" --max-tokens 2 --format csv 2>/dev/null"
        var shown = tool
        shown.environment.merge(["Q": asked, "TERM": "xterm", "SHELL": "/bin/sh"]) { $1 }
        let text = try Child(shown, program: "script", ["-qec", command, "/dev/null"]).end().text
        #expect(text.contains("What is seen?"), "\(text)")
        #expect(!text.contains("\u{1B}"))
    }

    @Test(arguments: [
        ["index", "--" + String(repeating: "a", count: 50_000)], [String(repeating: "b", count: 50_000)],
        ["index", "x", "--fps", String(repeating: "9", count: 50_000)],
        ["ask", String(repeating: "c", count: 50_000), "What is seen?"],
        ["ls", String(repeating: "d", count: 50_000)], ["index", "x", "--keep", String(repeating: "e", count: 50_000)],
    ])
    func `an error is never longer than 2 kB`(arguments: [String]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        for more in [[], ["--json"]] {
            let result = try tool.run(arguments + more)
            #expect(result.status != 0)
            #expect(result.errors.utf8.count <= 2000 + (more.isEmpty ? 0 : 100), "\(result.errors.utf8.count)")
        }
    }

    @Test(arguments: [
        (["help", "nosuch"], "unknown command nosuch"), (["help", "model", "nosuch"], "unknown command model nosuch"),
        (["help", "ask", "nosuch"], "unknown command"), (["model", "inspekt"], "did you mean model inspect?"),
        (["aks"], "did you mean"), (["run", "nosuch.yaml"], "nosuch.yaml: no such pipeline file"),
        (["index", "x", "--fps", "0x10"], "0x10"), (["index", "x", "--fps", "0x1p4"], "0x1p4"),
        (["index", "x", "--fps", "inf"], "inf"), (["index", "x", "--max-duration", "0x10"], "0x10"),
        (["index", "x", "--max-frames", "0x10"], "0x10"), (["index", "x", "--max-frames", "1e3"], "1e3"),
        (["ask", "x", "What is it?", "--temperature", "0x1"], "0x1"), (["search", "a", "--threshold", "0x0"], "0x0"),
        (["ask", "x", "What is it?", "--from", "0x10"], "0x10"), (["index", "x", "--cache-max", "0x10G"], "0x10G"),
        (["ask", "x", "What is it?", "--memory", "0x10G"], "0x10G"),
    ])
    func `wrong use is told with what is wrong`(arguments: [String], message: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run(arguments)
        #expect(result.status == 64, "\(result.errors)")
        #expect(result.errors.contains(message), "\(result.errors)")
    }

    @Test func `nothing is suggested that is another word`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        try Data("version: 1\ninptus: [a]\n".utf8).write(to: URL(filePath: tool.path("near.yaml")))
        try Data("version: 1\nsomething: [a]\n".utf8).write(to: URL(filePath: tool.path("far.yaml")))
        #expect(try tool.run("run", "near.yaml").errors.contains("did you mean `inputs`?"))
        #expect(try !tool.run("run", "far.yaml").errors.contains("did you mean"))
        #expect(try tool.run("index", "x", "--modle", "y").errors.contains("--model"))
        #expect(try !tool.run("index", "x", "--frobs", "y").errors.lowercased().contains("did you mean"))
        tool.environment["LONGTAKE_MODEL"] = nil
        #expect(try tool.run("index", "x").errors.contains("Models/nano"))
        tool.environment["LONGTAKE_FPS"] = "0x10"
        #expect(try tool.run("index", "x").status == 64)
    }

    /// Each line of the examples is there whole, whatever the terminal's width.
    @Test(arguments: [40, 60, 80, 120, 200])
    func `examples are never wrapped`(columns: Int) throws {
        var tool = try Tool(model: false)
        defer { tool.remove() }
        func lines(_ command: [String], _ width: Int) throws -> [Substring] {
            tool.environment["COLUMNS"] = "\(width)"
            let help = try tool.run(command + ["--help"]).text
            #expect(!help.unicodeScalars.contains { (0xE000...0xE001).contains($0.value) })
            let start = try #require(help.range(of: "EXAMPLE"))
            let end = try #require(help.range(of: "USAGE"))
            let examples = help[start.lowerBound..<end.lowerBound].split(separator: "\n").filter { $0.hasPrefix("  ") }
            let prose = help[start.lowerBound..<end.lowerBound].split(separator: "\n").filter { !$0.hasPrefix("  ") }
            #expect(prose.allSatisfy { $0.count <= width || !$0.contains(" ") }, "\(command) \(width)")
            return examples
        }
        for command in CommandTests.commands {
            let wide = try lines(command, 1000)
            #expect(!wide.isEmpty)
            #expect(try lines(command, columns) == wide, "\(command)")
        }
    }

    @Test func `one frame is one frame`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = tool.path("one.mp4")
        try Fixtures.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=5:duration=1", "-c:v", "mpeg4", video)
        let plan = try tool.run("index", video, "--dry-run").text
        #expect(plan.contains("1 frame ") && plan.contains("at most about"), "\(plan)")
        let texts = try [
            tool.run("index", video), tool.run("index", video), tool.run("ls"), tool.run("show", video),
            tool.run("ask", video, "What is it?", "--max-tokens", "1"), tool.run("cache", "verify"),
            tool.run("cache", "stats"), tool.run("frames", video, "--out", tool.path("f")),
        ].map { $0.text + $0.errors }
        // Not the end of a speed, as in 11.1 frames/s.
        let plural =
            #"(?<![\d.,])1 (frames|recordings|segments|indexes|tokens|files|streams|threads|bytes|answers have)\b"#
        try Fixtures.ffmpeg("-f", "lavfi", "-i", "sine", "-t", "1", "-c:a", "aac", tool.path("sound.mp4"))
        try FileManager.default.createDirectory(atPath: tool.path("old"), withIntermediateDirectories: true)
        try Data().write(to: URL(filePath: tool.path("old/frames.json")))
        try FileManager.default.createDirectory(atPath: tool.path("short"), withIntermediateDirectories: true)
        try Data("{".utf8).write(to: URL(filePath: tool.path("short/model.safetensors")))
        try FileManager.default.copyItem(
            atPath: Fixtures.model.get() + "/config.json", toPath: tool.path("short/config.json"))
        let errors = try [
            tool.run("index", tool.path("sound.mp4")), tool.run("frames", video, "--out", tool.path("old")),
            tool.run("model", "inspect", tool.path("short")), tool.run("doctor", "--threads", "1"),
            tool.run("index", video, "--sampling", "reference", "--fps", "0.1"),
            tool.run("export", video, "--format", "edl"),
        ].map { $0.text + $0.errors }
        for text in texts + errors { #expect(text.range(of: plural, options: .regularExpression) == nil, "\(text)") }
    }

    /// Escapes take six times the room of what they stand for.
    @Test func `an error that quotes control characters is not longer either`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let name = "/" + String(repeating: String(repeating: "\u{1B}", count: 200) + "/", count: 8) + "x.mp4"
        for arguments in [
            ["index", name], ["ask", name, "What is it?"], ["index", "x", "--fps", name], ["show", name],
        ] {
            let result = try tool.run(arguments)
            #expect(result.status != 0)
            #expect(result.errors.utf8.count <= 2000, "\(arguments[0]): \(result.errors.utf8.count)")
            #expect(!result.errors.unicodeScalars.contains("\u{1B}"))
        }
    }

    /// What a model's folder says of itself is on one line, without control characters.
    @Test func `a model's own strings command no terminal`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let folder = tool.path("model\u{1B}[31m\nlongtake: done")
        try FileManager.default.copyItem(atPath: Fixtures.model.get(), toPath: folder)
        let config = URL(filePath: folder + "/config.json")
        var text = try String(contentsOf: config, encoding: .utf8)
        #expect(text.contains("random weights"))
        text = text.replacingOccurrences(of: "random weights", with: "\\u001b[31m\\nlongtake: done")
        try Data(text.utf8).write(to: config)
        let video = try Fixtures.video.get()
        for arguments in [
            ["model", "inspect", folder], ["index", video, "--model", folder], ["ls"], ["show", video],
            ["index", video, "--model", folder + "/no"],
            ["ask", video, "What?", "--model", folder, "--max-tokens", "1"],
        ] {
            let result = try tool.run(arguments)
            #expect(!(result.text + result.errors).unicodeScalars.contains("\u{1B}"), "\(arguments)")
            #expect(!(result.text + result.errors).contains("\nlongtake: done"), "\(arguments)")
        }
    }

    @Test func `the plan refuses what the run refuses`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        for arguments in [["--cache-max", "1K"], ["--min-age", "100d"], ["--fps", "0"], ["--model", "nosuch"]] {
            let plan = try tool.run(["index", video, "--dry-run"] + arguments)
            let run = try tool.run(["index", video] + arguments)
            #expect(plan.status != 0, "\(arguments)")
            if arguments[0] != "--min-age" { #expect(plan.status == run.status, "\(arguments)") }
        }
    }
}
