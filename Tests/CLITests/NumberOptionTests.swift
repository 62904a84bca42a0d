import Foundation
import Testing

/// No number in an option, a variable or a pipeline ends the program other than with a result or a message.
@Suite struct NumberOptionTests {
    private static let values = ["9223372036854775807", "-1e19", "1e308", "nan", "-inf", "", "-0"]

    private static func check(_ result: Tool.Result, _ what: String) {
        #expect(result.status != 1 && result.status < 128, "\(what): \(result.status) \(result.errors.suffix(300))")
        #expect(result.status == 0 || !result.errors.isEmpty, "\(what): \(result.status) without a word")
    }

    private static let sampling = ["fps", "stream", "max-duration", "max-frames", "decode-threads", "watchdog"]
    private static let ask = [
        "from", "to", "segments", "evidence", "focus", "max-tokens", "temperature", "top-p", "seed", "fusion-frames",
        "fusion-error", "threads", "memory",
    ]

    @Test(arguments: [
        ("index", sampling + ["min-age", "cache-max", "wait-lock", "max-runtime", "threads", "memory"]),
        ("ask", ask), ("search", ["limit", "threshold", "from", "to", "threads"]),
        ("export", ["rate", "start", "since"]), ("show", ["images", "pictures"]), ("frames", sampling),
        ("cache", ["max", "missing-for"]),
    ])
    func `options of every command`(command: String, options: [String]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        try tool.run("index", video, "--quiet")
        for option in options {
            for value in Self.values {
                let words =
                    switch command {
                    case "index": ["index", video, "--dry-run"]
                    // Refused after the options were read, so that no value takes long.
                    case "ask": ["ask", video, "What is seen?", "--max-tokens", "1", "--model", tool.path("none")]
                    case "search": ["search", "a star", "--model", tool.path("none")]
                    case "export": ["export", video, "--format", "edl"]
                    case "show": ["show", video, "--contact-sheet", tool.path("sheet.png")]
                    case "frames": ["frames", video, "--out", tool.path("frames"), "--overwrite", "--json"]
                    default: ["cache", "prune", "--dry-run"]
                    }
                Self.check(try tool.run(words + ["--\(option)=\(value)"]), "\(command) --\(option)=\(value)")
            }
        }
    }

    /// What is read from an indexed recording with numbers that options take.
    @Test(arguments: [
        ["--from=1e308"], ["--to=1e300"], ["--from=9e18", "--to=9.1e18"], ["--from=-0"], ["--segments=1e308"],
        ["--segments=9e18"], ["--from=1e15", "--segments=1"], ["--evidence=1000"], ["--temperature=100"],
        ["--temperature=1e-300"], ["--top-p=1e-300", "--temperature=1"],
        ["--seed=18446744073709551615", "--temperature=1"],
        ["--fusion-frames=1000000"], ["--focus=9223372036854775807"], ["--fusion-error=1e-300"],
    ])
    func `extreme numbers that are possible`(options: [String]) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run(
            ["ask", Fixtures.video.get(), "What is seen?", "--max-tokens", "2", "--json"] + options)
        Self.check(result, "\(options)")
    }

    @Test func `numbers in variables and pipelines`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let plain = tool.environment
        for name in ["FPS", "THREADS", "MAX_FRAMES", "STREAM", "WATCHDOG", "MEMORY", "CACHE_MAX_BYTES"] {
            for value in Self.values {
                tool.environment = plain
                tool.environment["LONGTAKE_" + name] = value
                Self.check(try tool.run("index", video, "--dry-run"), "LONGTAKE_\(name)=\(value)")
            }
        }
        tool.environment = plain
        for key in ["fps", "min_age", "version"] {
            for value in Self.values {
                let text = "\(key == "version" ? "" : "version: 1\n")inputs: [\(video)]\n\(key): \(value)\n"
                try Data(text.utf8).write(to: URL(filePath: tool.path("p.yaml")))
                Self.check(try tool.run("run", "p.yaml"), "\(key): \(value)")
            }
        }
        for key in ["from", "to", "max_tokens"] {
            for value in Self.values {
                let text = """
                    version: 1
                    inputs: [\(video)]
                    output: out.jsonl
                    questions: [{ask: "What?", \(key): \(value.isEmpty ? "''" : value)}]
                    model: none
                    """
                try Data(text.utf8).write(to: URL(filePath: tool.path("p.yaml")))
                Self.check(try tool.run("run", "p.yaml", "--model", tool.path("none")), "\(key): \(value)")
            }
        }
    }
}
