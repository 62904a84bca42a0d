import Foundation
import Testing

@Suite struct ModelEmbedCommandTests {
    static let pair = ModelCommandTests.golden.appending(path: "case07_clip/clipmodel_eos_last").path

    private func pictures(_ tool: Tool) throws -> [String] {
        let paths = ["red", "blue"].map { tool.path("\($0) picture.png") }
        for (path, colour) in zip(paths, ["red", "blue"]) {
            try Fixtures.ffmpeg("-f", "lavfi", "-i", "color=\(colour):size=90x60:duration=1", "-frames:v", "1", path)
        }
        return paths
    }

    @Test func `one JSON line per input, in order`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let pictures = try pictures(tool)
        try Data("\u{FEFF}two dogs\r\n\n  \na \"red\" car".utf8).write(to: URL(filePath: tool.path("texts")))
        let result = try tool.run(
            "model", "embed", Self.pair, "--recording", Fixtures.video.get(), "--fps", "0.25", "--images", "-",
            "--image", pictures[0], "--texts", "texts", "--text", "a cat", "--text=-5",
            input: Data("\(pictures[1])\n".utf8))
        #expect(result.status == 0, "\(result.errors)")
        let lines = try result.lines()
        #expect(
            lines.map { $0["kind"] as? String } == ["text", "text", "text", "text", "image", "image"] + [
                "frame", "frame", "frame",
            ])
        #expect(
            lines.prefix(6).map { $0["input"] as? String } == ["a cat", "-5", "two dogs", "a \"red\" car"] + pictures)
        #expect(lines.map { $0["time"] as? Double } == [nil, nil, nil, nil, nil, nil, 0, 4, 8])
        for line in lines {
            let embedding = try #require(line["embedding"] as? [Double])
            #expect(embedding.count == 48)
            #expect(abs(embedding.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        }
        let again = try tool.run("model", "embed", Self.pair, "--text", "two dogs").lines()
        #expect(again.first?["embedding"] as? [Double] == lines[2]["embedding"] as? [Double])
        #expect(lines[4]["embedding"] as? [Double] != lines[5]["embedding"] as? [Double])
    }

    @Test func `a tower without its text half says what is needed`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let model = try Fixtures.model.get()
        let result = try tool.run("model", "embed", model, "--text", "a cat", "--json")
        #expect(result.status == 12 && result.output.isEmpty)
        let error = try result.exitError()
        #expect(error["error"] as? String == "unsupported_model")
        let message = try #require(error["message"] as? String)
        for word in [model, "text half", "Fetch the whole CLIP checkpoint"] { #expect(message.contains(word)) }
    }

    @Test func `bad inputs end with the usual statuses`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        try Data("\n \r\n".utf8).write(to: URL(filePath: tool.path("blank")))
        try Data().write(to: URL(filePath: tool.path("empty.png")))
        try Data("ok\n\u{0}".utf8 + [0xFF, 0x0A]).write(to: URL(filePath: tool.path("bytes")))
        try Data("no video".utf8).write(to: URL(filePath: tool.path("text.mp4")))
        let cases: [(arguments: [String], status: Int32, word: String)] = [
            ([], 64, "no input: give --text"),
            (["--text", " "], 64, "empty text"),
            (["--texts", "-", "--images", "-"], 64, "standard input"),
            (["--text", "a", "--fps", "2"], 64, "--recording"),
            (["--recording", "text.mp4", "--fps", "0"], 64, "--fps"),
            (["--texts", "bytes"], 64, "line 2"),
            (["--texts", "missing"], 14, "missing"),
            (["--texts", "."], 14, "directory"),
            (["--texts", "blank"], 14, "blank"),
            (["--images", "-"], 14, "standard input"),
            (["--image", "missing.png"], 14, "missing.png"),
            (["--image", "empty.png"], 14, "empty"),
            (["--image", "text.mp4"], 14, "text.mp4"),
            (["--recording", "missing.mp4"], 14, "missing.mp4"),
            (["--recording", "text.mp4"], 14, "text.mp4"),
            (["--text", "a", "--precision", "int3"], 64, "int3"),
        ]
        for (arguments, status, word) in cases {
            let result = try tool.run(["model", "embed", Self.pair] + arguments)
            #expect(result.status == status, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(word), "\(arguments): \(result.errors)")
        }
        #expect(try tool.run("model", "embed", tool.path("none"), "--text", "a").status == 12)
    }

    @Test func `a recording that breaks off is partial`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        try Fixtures.cut(Fixtures.video.get(), to: tool.path("cut.mp4"), part: 0.6)
        let result = try tool.run("model", "embed", Self.pair, "--recording", "cut.mp4")
        #expect(result.status == 3, "\(result.errors)")
        #expect(result.errors.contains("partial:"))
        #expect(try (1..<12).contains(result.lines().count))
    }

    @Test func `a text is answered before the next one is written`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let input = Pipe()
        let (process, output, _) = try tool.start(
            ["model", "embed", Self.pair, "--texts", "-"], input: input.fileHandleForReading)
        for text in ["a cat", "two dogs"] {
            try input.fileHandleForWriting.write(contentsOf: Data("\(text)\n".utf8))
            var line = Data()
            while line.last != 0x0A { line += try #require(try output.fileHandleForReading.read(upToCount: 1)) }
            let object = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
            #expect(object["input"] as? String == text)
        }
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }
}
