import Foundation
import Testing

/// The command line adds options and commands to the errors and notes of the library, which names none.
@Suite struct HintTests {
    @Test func `notes of the decoder name the option that sets the limit`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let duration = try tool.run("index", video, "--max-duration", "3")
        #expect(
            duration.errors.contains(
                "max_duration: stopped at 3.0 s, the maximum duration (--max-duration raises it)\n"))
        let frames = try tool.run("index", video, "--max-frames", "2")
        #expect(
            frames.errors.contains(
                "max_frames: stopped after 2 frames, the maximum number (--max-frames raises it)\n"))
        let two = tool.path("two.mkv")
        try Fixtures.ffmpeg("-i", video, "-map", "0:v", "-map", "0:v", "-t", "2", "-c:v", "mpeg4", two)
        let streams = try tool.run("index", two)
        #expect(
            streams.errors.contains(
                "several_video_streams: 2 video streams (0, 1); stream 0 was taken (--stream chooses another one)\n"),
            "\(streams.errors)")
        // In JSON a note is the library's: its code says which limit it is.
        let json = try tool.run("index", video, "--max-frames", "2", "--force", "--json").lines()
        let warnings = json.compactMap { $0["warnings"] as? [String] }.joined()
        #expect(warnings.contains { $0.hasPrefix("max_frames: ") && !$0.contains("--") })
    }

    @Test func `errors name the option or command that resolves them, in text and JSON`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        func expect(_ arguments: [String], _ hint: String) throws {
            #expect(try tool.run(arguments).errors.contains(hint), "\(arguments)")
            let message = try tool.run(arguments + ["--json"]).exitError()["message"] as? String
            #expect(message?.contains(hint) == true, "\(arguments): \(message ?? "")")
        }
        try expect(["cache", "stats"], "indexing creates one (run `longtake index`)")
        try expect(["ask", "vid_0000000000000000", "What is it?"], "is indexed (`longtake ls` lists the recordings)")
        try expect(
            ["index", video, "--cache-max", "1K"],
            "(`longtake rm`, --fps, --keep tokens, --cache-dir, --cache-max, --max-duration)")
        #expect(try tool.run("frames", video, "--out", tool.path("frames"), "--fps", "0.5").status == 0)
        try expect(["frames", video, "--out", tool.path("frames")], "(--overwrite removes them)")
        try expect(["ask", video, "What is it?", "--memory", "1K"], "(raise it with --memory, or shorten the range")
        try Fixtures.ffmpeg("-i", video, "-frames:v", "1", tool.path("still.png"))
        try expect(["index", tool.path("still.png")], "ask about it as an image")
        try expect(["index", tool.path("still.png")], "(`longtake ask --image`)")
        try Data("{}\n".utf8).write(to: URL(filePath: tool.path("answers.jsonl")))
        try tool.run("index", video, "--quiet")
        try expect(
            ["export", video, "--format", "csv", "--answers", tool.path("answers.jsonl")],
            "(`longtake ask --json` and `longtake run` write them)")
    }
}
