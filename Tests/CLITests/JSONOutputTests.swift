import Foundation
import Glibc
import Testing

/// Every command has `--json`: its result is JSON, and so is every line of standard error.
@Suite struct JSONOutputTests {
    private func keys(_ result: Tool.Result) throws -> Set<String> {
        let value = try JSONSerialization.jsonObject(with: result.output)
        let object = (value as? [[String: Any]])?.first ?? value as? [String: Any]
        return Set(try #require(object, "\(result.text)").keys)
    }

    private func check(errors result: Tool.Result, _ arguments: [String]) throws {
        for line in result.errors.split(separator: "\n") {
            let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["message_type"] is String, "\(arguments): \(line)")
        }
    }

    @Test func `documents and their keys`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let model = try Fixtures.model.get()
        let texts = tool.path("ids.jsonl")
        try Data("[1, 2, 3]\n".utf8).write(to: URL(filePath: texts))
        try tool.run("index", video, "--quiet")
        let recording: Set = [
            "bytes", "counters", "created", "duration", "file", "frames", "id", "index", "model", "name", "patches",
            "path",
            "prefix_cache_bytes", "record", "sampling", "segments", "start", "state", "warnings",
        ]
        let documents: [([String], Set<String>)] = [
            (["ls"], recording), (["show", video], recording), (["rm", video, "--dry-run"], recording),
            (
                ["cache", "stats"],
                [
                    "path", "bytes", "max_bytes", "free_bytes", "indexes", "frames", "indexes_with_patches",
                    "patch_bytes",
                    "derived_bytes", "trash_bytes", "unfinished", "unfinished_bytes", "other_versions",
                    "other_versions_bytes", "damaged", "being_written",
                ]
            ),
            (
                ["cache", "verify"],
                ["indexes", "unfinished", "other_versions", "files", "frames", "bytes_read", "damage"]
            ),
            (
                ["cache", "prune"],
                ["bytes_before", "bytes_after", "max_bytes", "dry_run", "removed", "unreachable", "pinned"]
            ),
            (["cache", "repair"], ["recordings", "repaired", "notes"]),
            (["model", "make-random", "--out", tool.path("made")], ["path", "bytes"]),
            (
                ["model", "quantize", tool.path("made"), "--out", tool.path("quantized")],
                ["path", "vision", "language", "bytes", "source_bytes", "kept", "matrices"]
            ),
            (
                ["model", "convert", tool.path("made"), "--out", tool.path("converted")],
                ["path", "bytes", "tensors", "files"]
            ),
            (["bench", "records", "--frames", "3"], ["id", "index", "frames", "bytes", "bytes_per_frame", "seconds"]),
            (
                ["bench", "search", "--frames", "100", "--runs", "1"],
                [
                    "embedding", "frame_bytes", "frames", "kernels", "nanoseconds_per_frame", "nanoseconds_per_product",
                    "threads",
                ]
            ),
            (
                ["model", "parity", ModelCommandTests.golden.appending(path: "case08_llm").path],
                ["name", "precision", "passed", "tensors", "greedy", "notes"]
            ),
            (
                ["model", "perplexity", model, "--ids", texts],
                ["model", "precision", "context", "texts"]
            ),
            (
                [
                    "model", "check", model, try Fixtures.video.get(), "--precision", "bf16", "--frames", "2",
                    "--max-tokens", "2",
                ],
                [
                    "model", "recording", "precision", "frames", "frame_seconds", "vision_tokens", "answers", "changed",
                    "notes",
                ]
            ),
        ]
        for (arguments, wanted) in documents {
            let result = try tool.run(arguments + ["--json"])
            #expect(result.status == 0, "\(arguments): \(result.errors)")
            #expect(try keys(result) == wanted, "\(arguments)")
            try check(errors: result, arguments)
        }
        let inspected = try tool.run("model", "inspect", model, "--json")
        #expect(try !keys(inspected).isEmpty && inspected.errors.isEmpty)
        let ids = try tool.run("model", "tokenize", model, "--json", input: Data("\"a\"\n".utf8))
        #expect(ids.status == 0 && ids.text.hasPrefix("["))
    }

    @Test(arguments: [
        ["ask", "nosuch.mp4", "What is it?"], ["ask", "vid_00000000", "What is it?"], ["index", "nosuch.mp4"],
        ["index", "a", "b"], ["index", "empty"], ["show", "nosuch"], ["rm", "nosuch", "--yes"],
        ["export", "nosuch", "--format", "csv"], ["chat", "nosuch.mp4"], ["search", "a red car"],
        ["frames", "nosuch.mp4", "--out", "f"], ["run", "nosuch.yaml"], ["model", "inspect", "nosuch"],
        ["model", "parity", "nosuch", "neither"], ["model", "tokenize", "nosuch"],
        ["model", "embed", "nosuch", "--text", "a"], ["model", "check", "nosuch", "nosuch.mp4"],
        ["model", "perplexity", "nosuch", "--ids", "nosuch"], ["model", "make-random", "--out", "full"],
        ["model", "quantize", "nosuch", "--out", "q"], ["model", "convert", "nosuch", "--out", "q"],
        ["model", "pull", "no name"], ["model", "rm", "org/none", "--yes"], ["model", "verify", "org/none"],
        ["cache", "prune", "--missing-for", "soon"], ["cache", "verify", "--subset", "3/2"],
        ["bench", "records", "--frames", "0"], ["bench", "search", "--frames", "0"],
        ["bench", "prefill", "--shape", "huge"], ["bench", "ask", "--shape", "nano", "--frames", "0"],
        ["bench", "headline", "--shape", "huge"], ["bench", "headline", "--shape", "nano", "--runs", "0"],
        ["bench", "video-decode", "nosuch.mp4"], ["doctor", "--threads", "0"],
        ["ls", "--frobs"], ["nosuch"], ["ask"], ["help", "nosuch"],
    ])
    func `errors are JSON, and nothing else is on standard error`(arguments: [String]) throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_NO_SECCOMP"] = "1"
        for folder in ["empty", "full"] {
            try FileManager.default.createDirectory(atPath: tool.path(folder), withIntermediateDirectories: true)
        }
        try Data().write(to: URL(filePath: tool.path("full/x")))
        let result = try tool.run(arguments + ["--json"])
        #expect(result.status != 0 || arguments.last == "empty", "\(arguments)")
        try check(errors: result, arguments)
        if result.status != 0, result.status != 3 {
            let last = try result.exitError()
            #expect(last["message_type"] as? String == "exit_error", "\(last)")
            #expect(last["code"] as? Int == Int(result.status))
            #expect(last["error"] is String && last["message"] is String)
        }
    }

    /// Where there is nothing to save a signal ends the command at once, and its last line is still there.
    @Test(arguments: [SIGINT, SIGTERM])
    func `a command that a signal ended says so in JSON`(signal: Int32) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        try tool.run("index", video, "--quiet")
        let questions = Pipe()
        let (process, output, errors) = try tool.start(
            ["chat", video, "--max-tokens", "1", "--json"], input: questions.fileHandleForReading)
        try questions.fileHandleForWriting.write(contentsOf: Data("What is it?\n".utf8))
        // The answer is there: it waits for the next question.
        #expect(!output.fileHandleForReading.availableData.isEmpty)
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        #expect(process.terminationStatus == 128 + signal)
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let last = try #require(text.split(separator: "\n").last)
        let object = try JSONSerialization.jsonObject(with: Data(last.utf8)) as? [String: Any]
        #expect(object?["message_type"] as? String == "exit_error" && object?["code"] as? Int == Int(128 + signal))
    }
}
