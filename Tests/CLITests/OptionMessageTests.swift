import Foundation
import Testing

/// The text of every error about the command line, word for word.
@Suite struct OptionMessageTests {
    /// The message of a command that fails with status 64.
    private func message(
        _ arguments: [String], _ environment: [String: String] = [:], input: String? = nil
    ) throws -> String? {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment.merge(environment) { $1 }
        try FileManager.default.createSymbolicLink(
            atPath: tool.path("a.mp4"), withDestinationPath: Fixtures.video.get())
        try FileManager.default.createDirectory(atPath: tool.path("folder"), withIntermediateDirectories: true)
        try Data("# one\n".utf8).write(to: URL(filePath: tool.path("comments.txt")))
        let result = try tool.run(arguments + ["--json"], input: input.map { Data($0.utf8) })
        #expect(result.status == 64, "\(arguments): \(result.status) \(result.errors)")
        return try result.exitError()["message"] as? String
    }

    private static let ask = ["ask", "a.mp4", "What is it?"]

    @Test(
        arguments: [
            (ask + ["--fusion", "exat"], "invalid --fusion \"exat\"; use auto or exact; did you mean exact?"),
            (ask + ["--fusion", "some"], "invalid --fusion \"some\"; use auto or exact"),
            (
                ask + ["--prefix-cache", "nevr"],
                "invalid --prefix-cache \"nevr\"; use auto, now, lazy or never; did you mean never?"
            ),
            (ask + ["--kv", "int9"], "invalid --kv \"int9\"; use auto, bf16 or int8; did you mean int8?"),
            (["run", "p.yaml", "--kv", "f8"], "invalid --kv \"f8\"; use auto, bf16 or int8"),
            (
                ask + ["--focus", "of"],
                "invalid --focus \"of\"; use auto, off or a number of frames from 1 to 100000; did you mean off?"
            ),
            (
                ask + ["--focus", "100001"],
                "invalid --focus \"100001\"; use auto, off or a number of frames from 1 to 100000"
            ),
            (
                ["index", "x", "--sampling", "gird"],
                "invalid --sampling \"gird\"; use grid, reference or keyframes; did you mean grid?"
            ),
            (["index", "x", "--record", "f16"], "invalid --record \"f16\"; use default or f32; did you mean f32?"),
            (
                ["index", "x", "--keep", "patch"],
                "invalid --keep \"patch\"; use patches or tokens; did you mean patches?"
            ),
            (
                ["index", "x", "--precision", "f8"],
                "invalid --precision \"f8\"; use auto, f32, bf16 or int8; did you mean f32?"
            ),
            (
                ["index", "x", "--backend", "blas"],
                "invalid --backend \"blas\"; use auto, onednn or openblas"
            ),
            (
                ["export", "a.mp4", "--format", "vt"],
                "invalid --format \"vt\"; use jsonl, csv, vtt, srt, otio, edl or chapters; did you mean vtt?"
            ),
            (
                ["frames", "a.mp4", "--out", "f", "--size", "modell"],
                "invalid --size \"modell\"; use model or native; did you mean model?"
            ),
            (
                ["model", "make-random", "--out", "m", "--shape", "nan"],
                "invalid --shape \"nan\"; use llava-mini-8b, llava-mini-7b, llava-v1.5-7b, nano or llava-v1.5-nano; "
                    + "did you mean nano?"
            ),
            (
                ["model", "make-random", "--out", "m", "--dtype", "f8"],
                "invalid --dtype \"f8\"; use bf16, f16 or f32; did you mean f16?"
            ),
            (
                ["bench", "records", "--frames", "1", "--record", "f8"],
                "invalid --record \"f8\"; use default or f32; did you mean f32?"
            ),
            (["bench", "records", "--frames", "1", "--keep", "all"], "invalid --keep \"all\"; use patches or tokens"),
        ])
    func `unknown values name the known ones`(arguments: [String], expected: String) throws {
        #expect(try message(arguments) == expected)
    }

    @Test(arguments: [
        (ask + ["--max-tokens", "0"], "--max-tokens must be 1 to 1000000, not 0"),
        (ask + ["--temperature", "101"], "--temperature must be 0 to 100, not 101.0"),
        (ask + ["--top-p", "0"], "--top-p must be above 0 and at most 1, not 0.0"),
        (ask + ["--evidence", "1001"], "--evidence must be 0 to 1000, not 1001"),
        (ask + ["--fusion-frames", "0"], "--fusion-frames must be 1 to 1000000, not 0"),
        (ask + ["--fusion-error", "2"], "--fusion-error must be 0 to 1, not 2.0"),
        (ask + ["--segments", "0"], "--segments must be above 0"),
        (ask + ["--threads", "0"], "--threads must be 1 to 1024, not 0"),
        (ask + ["--from", "5", "--to", "5"], "--from must be before --to"),
        (ask + ["--memory", "much"], "invalid size \"much\"; use bytes, 200G, 1.5TiB or 80%"),
        (ask + ["--memory", "80%"], "invalid memory size \"80%\"; use bytes, 6G or 500MB"),
        (["index", "x", "--fps", "0"], "--fps must be 0.001 to 240, not 0.0"),
        (["index", "x", "--stream=-1"], "--stream must be 0 or more, not -1"),
        (["index", "x", "--stream", "-1"], "--stream must be 0 or more, not -1"),
        (["index", "x", "--memory", "-1G", "--model", "y"], "invalid size \"-1G\"; use bytes, 200G, 1.5TiB or 80%"),
        (["index", "-1.mp4"], "-1.mp4 begins with a dash: write ./-1.mp4 for a file, or put -- before a text"),
        (["index", "x", "--reuse", "-1"], "--reuse must be 0 to 255 gray levels, not -1"),
        (["index", "x", "--fps", "-0.5", "--threads", "2"], "--fps must be 0.001 to 240, not -0.5"),
        (ask + ["--threads", "-2"], "--threads must be 1 to 1024, not -2"),
        (["index", "x", "--max-duration", "0"], "--max-duration must be above 0, not 0.0"),
        (["index", "x", "--max-frames", "0"], "--max-frames must be 1 or more, not 0"),
        (["index", "x", "--decode-threads", "17"], "--decode-threads must be 1 to 16, not 17"),
        (["index", "x", "--max-runtime", "0"], "--max-runtime must be above 0 and at most 1e9 s, not 0.0"),
        (["index", "x", "--require=-1"], "--require must be 0 or more, not -1"),
        (["index", "x", "--cache-max", "big"], "invalid size \"big\"; use bytes, 200G, 1.5TiB or 80%"),
        (
            ["index", "x", "--exclude", "!a"],
            "invalid --exclude \"!a\"; ! is not supported, write \\! for a name that begins with it"
        ),
        (["search", "a", "--limit", "0"], "--limit must be 1 to 100000, not 0"),
        (["search", "a", "--threshold", "2"], "--threshold must be -1 to 1, not 2.0"),
        (["search", "a", "--from", "5", "--to", "1"], "--from must be before --to"),
        (
            ["export", "x", "--format", "edl", "--rate", "0"],
            "invalid --rate \"0\"; use 1 to 1000 frames per second such as 25, 23.976 or 30000/1001"
        ),
        (
            ["export", "x", "--format", "edl", "--start", "99:00:00:00"],
            "invalid --start \"99:00:00:00\"; use a time code below 24 hours such as 01:00:00:00 or 10h"
        ),
        (
            ["export", "x", "--format", "vtt", "--since", "soon"],
            "invalid --since \"soon\"; use a duration such as 2d or 90m, a date or an RFC 3339 time"
        ),
    ])
    func `numbers and sizes out of range name the limits`(arguments: [String], expected: String) throws {
        #expect(try message(arguments) == expected)
    }

    @Test(
        arguments: [
            (["MAX_TOKENS": "0"], "LONGTAKE_MAX_TOKENS must be 1 to 1000000, not 0"),
            (["MAX_TOKENS": "many"], "LONGTAKE_MAX_TOKENS=many is not a whole number"),
            (["SEED": "-1"], "LONGTAKE_SEED=-1 is not a whole number from 0"),
            (["TEMPERATURE": "warm"], "LONGTAKE_TEMPERATURE=warm is not a number"),
            (["WATCHDOG": "soon"], "LONGTAKE_WATCHDOG=soon is not a time; use 90, 10m or 01:30:00"),
            (["FUSION": "exat"], "invalid LONGTAKE_FUSION \"exat\"; use auto or exact; did you mean exact?"),
            (["FPS": "0"], "LONGTAKE_FPS must be 0.001 to 240, not 0.0"),
            (
                ["PREFIX_CACHE": "soon"],
                "invalid LONGTAKE_PREFIX_CACHE \"soon\"; use auto, now, lazy or never"
            ),
        ] as [([String: String], String)])
    func `messages name the variable that set a value`(variables: [String: String], expected: String) throws {
        let environment = Dictionary(uniqueKeysWithValues: variables.map { ("LONGTAKE_" + $0, $1) })
        #expect(try message(Self.ask, environment) == expected)
        // The option takes precedence over its variable.
        if let name = variables.keys.first, name == "FUSION" {
            let typed = try message(Self.ask + ["--fusion", "all"], environment)
            #expect(typed == "invalid --fusion \"all\"; use auto or exact")
        }
    }

    @Test(arguments: [
        (["ask", "a.mp4"], "no question: give it after the recording"),
        (["ask", "a.mp4", "Who", "is"], "2 questions of one word each: put a question with spaces in quotes"),
        (
            ["ask", "a.mp4", "What is it?", "b/c.mp4", "Who is it?"],
            "b/c.mp4: no such file; put a question that looks like a file name into a file for --questions"
        ),
        (
            ["ask", "a.mp4", "What is it?", "a.mp4", "Who is it?"],
            "a.mp4 is a recording: give recordings before the questions"
        ),
        (["ask", "a.mp4", "--questions", "comments.txt"], "comments.txt: no question in it, every line is a comment"),
        (["ask", "-", "--questions", "-"], "standard input cannot be both the recording and the questions"),
        (
            ["ask", "--questions", "-", "--files-from", "-"],
            "standard input cannot be both the questions and the list of files"
        ),
        (
            ["ask", "-", "What is it?", "--files-from", "-"],
            "standard input cannot be both a recording and a list of files"
        ),
        (["ask", "--image", "a.png", "What is it?", "Who is it?"], "--image takes one question at a time"),
        (["ask", "--image", "a.mp4", "a.mp4", "What is it?"], "--image takes one image at a time"),
        (
            ["ask", "--image", "a.png", "What is it?", "--from", "1"],
            "a still image has no times: omit --from, --to and --segments"
        ),
        (
            ["ask", "--image", "a.png", "What is it?", "--thumbnails", "t"],
            "a still image is its own thumbnail: omit --thumbnails"
        ),
        (ask + ["--format", "csv"], "--json and --format csv exclude each other: give one of them"),
        (["ask", "folder", "What is it?"], "no recording to ask about"),
        (["index"], "no input: give files or folders, or a list of them with --files-from"),
        (["index", "-", "--dry-run"], "standard input has no plan: omit --dry-run"),
        (["index", "-", "--files-from", "-"], "standard input cannot be both a recording and a list of files"),
        (["index", "--files-from", "-", "--files-from0", "-"], "standard input cannot be both lists of files"),
        (["chat", "-"], "standard input has the questions: index the recording first, then give its ID"),
        (["search", " "], "no text to search for: give it first, as in longtake search \"a red car\""),
        (["search", "a.mp4"], "a.mp4 names a recording: the text to search for comes first"),
        (["export", "a.mp4", "--format", "vtt", "--all", "--latest"], "--all and --latest exclude each other"),
        (["rm"], "no input: give recordings, or --missing"),
        (["rm", "a.mp4", "--unreachable"], "--unreachable requires --missing"),
        (["cache", "prune", "--missing-for", "soon"], "invalid --missing-for \"soon\"; use 90, 24h or 7d"),
        (["model", "embed", "m"], "no input: give --text, --texts, --image, --images or --recording"),
        (
            ["model", "embed", "m", "--texts", "-", "--images", "-"],
            "standard input can be read once: give - to only one of --texts, --images and --recording"
        ),
        (["model", "embed", "m", "--text", "a", "--fps", "1"], "--fps requires --recording"),
        (["model", "perplexity", "m"], "no text: give --text or --ids"),
        (["model", "perplexity", "m", "--ids", "a", "--context", "1"], "--context must be at least 2, not 1"),
        (
            ["model", "check", "m", "a.mp4", "--tokens-only", "--questions", "q"],
            "--tokens-only asks no questions; leave out --questions"
        ),
        (["model", "check", "m", "a.mp4", "--frames", "0"], "--frames must be at least 1, not 0"),
        (
            ask + ["--prefix-cache", "now", "--derive", "now"],
            "--derive is the earlier name of --prefix-cache: give one of them"
        ),
        (
            ["-recording.mp4"],
            "-recording.mp4 begins with a dash: write ./-recording.mp4 for a file, or put -- before a text"
        ),
        (["aks"], "unknown command aks; did you mean ask?"),
        (["nonsense"], "unknown command nonsense; `longtake --help` lists the commands"),
        (["model", "inspekt"], "unknown command model inspekt; did you mean model inspect?"),
        (["help", "ask", "nosuch"], "unknown command ask nosuch; ask has no subcommands"),
    ])
    func `arguments that do not fit together`(arguments: [String], expected: String) throws {
        let status: Int32 = expected.contains("no such file") ? 14 : 64
        if status == 64 {
            #expect(try message(arguments) == expected)
        } else {
            let tool = try Tool()
            defer { tool.remove() }
            let result = try tool.run(arguments + ["--json"])
            #expect(result.status == status)
            #expect(try result.exitError()["message"] as? String == expected)
        }
    }

    @Test func `lines that are not JSON`() throws {
        let model = try Fixtures.model.get()
        let text = "line 2 is not a JSON string; put the text in double quotes"
        #expect(try message(["model", "tokenize", model], input: "\"a\"\nb\n") == text)
        #expect(
            try message(["model", "tokenize", model, "--decode"], input: "\"a\"\n")
                == "line 1 is not a JSON array of IDs")
    }

    @Test func `removing needs a terminal or --yes`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let expected = "standard input is not a terminal: give --yes to remove without confirmation"
        try tool.run("index", video, "--quiet")
        for command in [["rm", video], ["cache", "prune", "--max", "1K"]] {
            #expect(try tool.run(command + ["--json"]).exitError()["message"] as? String == expected)
        }
        let count = try tool.run("show", video, "--contact-sheet", "a.png", "--images", "0", "--json")
        #expect(try count.exitError()["message"] as? String == "--images must be 1 to 1000, not 0")
        let none = try tool.run("export", video, "--format", "vtt", "--json").exitError()["message"] as? String
        #expect(none?.hasPrefix("no answers about vid_") == true && none?.hasSuffix("yet: run `longtake ask`") == true)
        let several = try tool.run("ask", video, video, "What is it?", "--format", "vtt")
        #expect(several.errors == "longtake: --format vtt takes one recording: each has its own times\n")
    }

    /// The parser's own errors: unknown options, missing values and values of another type.
    @Test(arguments: [
        (["index", "x", "--modle", "y"], "Unknown option '--modle'. Did you mean '--model'?"),
        (["index", "x", "--frobs", "y"], "Unknown option '--frobs'"),
        (["index", "x", "--fps"], "Missing value for '--fps <fps>'"),
        (["index", "x", "--fps", "--force"], "Missing value for '--fps <fps>'"),
        (
            ["index", "x", "--force", "-1"],
            "The option '--force' does not take any value, but '-1' was specified."
        ),
        (["ask", "x", "y", "--from", "-5"], "The value '-5' is invalid for '--from <from>'"),
        (["index", "x", "--fps", "fast"], "The value 'fast' is invalid for '--fps <fps>'"),
        (["frames", "x"], "Missing expected argument '--out <out>'"),
        (["ls", "x"], "Unexpected argument 'x'"),
    ])
    func `the parser's errors`(arguments: [String], expected: String) throws {
        #expect(try message(arguments) == expected)
    }

    /// Earlier names still work.
    @Test func `earlier names of options and variables`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        func bytes(_ options: String...) throws -> Int? {
            try tool.run(["index", video, "--force", "--json"] + options).lines()
                .first { $0["message_type"] as? String == "verbose_status" }?["prefix_cache_bytes"] as? Int
        }
        #expect(try bytes("--derive", "never") == 0)
        #expect(try bytes("--derive", "now") ?? 0 > 0)
        let sheet = try tool.run("show", video, "--contact-sheet", "sheet.png", "--pictures", "2")
        #expect(sheet.status == 0, "\(sheet.errors)")
        tool.environment["LONGTAKE_DERIVE"] = "soon"
        #expect(
            try tool.run("index", video).errors
                == "longtake: invalid LONGTAKE_DERIVE \"soon\"; use auto, now, lazy or never\n")
        tool.environment["LONGTAKE_PREFIX_CACHE"] = "never"
        #expect(try tool.run("index", video).status == 0)
        for command in ["index", "show"] {
            let help = try tool.run(command, "--help").text
            #expect(!help.contains("--derive") && !help.contains("--pictures"))
        }
    }
}
