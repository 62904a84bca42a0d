import Foundation
import Glibc
import Testing

/// What a run over files that have not changed costs: system calls, not seconds.
@Suite struct UnchangedTests {
    private static let hasTracer = access("/usr/bin/strace", X_OK) == 0

    /// Recordings that differ by a number at their end only.
    private static func videos(_ numbers: Range<Int>, in folder: String) throws {
        let base = folder + "/base"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "color=red:size=64x48:rate=2:duration=1", "-c:v", "libx264", "-preset", "ultrafast",
            "-f", "matroska", base)
        let data = try Data(contentsOf: URL(filePath: base))
        try FileManager.default.removeItem(atPath: base)
        for number in numbers {
            // An EBML void of eight bytes.
            let tail = Data([0xEC, 0x88]) + withUnsafeBytes(of: UInt64(number).bigEndian) { Data($0) }
            try (data + tail).write(to: URL(filePath: "\(folder)/\(number).mkv"))
        }
    }

    /// The system calls of a run: of processes, and of files.
    private func calls(_ tool: Tool, _ arguments: [String]) throws -> (programs: Int, files: [Substring]) {
        let log = tool.path("calls-" + UUID().uuidString)
        let traced = try Child(
            tool, program: "/usr/bin/strace",
            ["-f", "-qq", "-s", "512", "-e", "trace=%file", "-o", log, Tool.executable.path] + arguments
        ).end(limit: 300)
        #expect(traced.status == 0, "\(traced.errors)")
        let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n")
        return (lines.count { $0.contains("execve(") }, lines.filter { $0.contains(tool.folder.path) })
    }

    @Test(.enabled(if: UnchangedTests.hasTracer, "strace is not installed"))
    func `unchanged files cost the same beside any number of indexes`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let (first, more) = (tool.path("first"), tool.path("more"))
        try Self.videos(0..<6, in: first)
        // A change time of this moment would prove nothing.
        Thread.sleep(forTimeInterval: 2.2)
        try #require(try tool.run("index", first, "--prefix-cache", "never").status == 0)
        try Data(
            "version: 1\ninputs: [first]\noutput: answers.jsonl\nquestions:\n  - ask: What is it?\n    max_tokens: 1\n"
                .utf8
        ).write(to: URL(filePath: tool.path("p.yaml")))
        try #require(try tool.run("run", tool.path("p.yaml"), "--prefix-cache", "never").status == 0)
        let runs = [["index", first, "--json"], ["run", tool.path("p.yaml"), "--json"]]
        let before = try runs.map { try calls(tool, $0) }
        try Self.videos(100..<120, in: more)
        try #require(try tool.run("index", more, "--prefix-cache", "never").status == 0)
        for (arguments, old) in zip(runs, before) {
            let new = try calls(tool, arguments)
            // No decode worker, no segment, and the files that were looked at are the same.
            #expect(new.programs == 1, "\(arguments)")
            #expect(!new.files.contains { $0.contains(".seg") || $0.contains(".pat") }, "\(arguments)")
            #expect(new.files.count == old.files.count, "\(arguments): \(old.files.count) → \(new.files.count)")
            #expect(new.files.count < 6 * 4 + 80, "\(arguments): \(new.files.count)")
            let summary = try #require(try tool.run(arguments).lines().last)
            #expect(summary["files_unmodified"] as? Int == 6)
        }
        // One new file: what there is already is not looked at.
        let large = ["--cache-max", "100T"]
        try Self.videos(200..<201, in: tool.path("one"))
        let one = try calls(tool, ["index", tool.path("one"), "--prefix-cache", "never"] + large)
        try Self.videos(300..<315, in: tool.path("others"))
        try #require(try tool.run("index", tool.path("others"), "--prefix-cache", "never").status == 0)
        try Self.videos(400..<401, in: tool.path("two"))
        let two = try calls(tool, ["index", tool.path("two"), "--prefix-cache", "never"] + large)
        #expect(two.files.count <= one.files.count + 10, "\(one.files.count) → \(two.files.count)")
    }

    @Test(.enabled(if: UnchangedTests.hasTracer, "strace is not installed"))
    func `a new file costs a pipeline the same beside any number of indexes`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_CACHE_MAX_BYTES"] = "100T"
        try Data(
            """
            version: 1
            inputs: [asked]
            outputs:
              - {format: jsonl, path: answers.jsonl}
              - {format: vtt, path: "vtt/{name}.vtt"}
              - {format: clips, path: "clips/{name}"}
            questions:
              - {id: what, ask: What is it?, max_tokens: 1}
            """.utf8
        ).write(to: URL(filePath: tool.path("p.yaml")))
        let run = ["run", tool.path("p.yaml"), "--prefix-cache", "never"]
        // The first run makes the catalog and the outputs.
        for number in [500, 501] {
            try Self.videos(number..<number + 1, in: tool.path("asked"))
            guard number == 500 else { continue }
            let first = try tool.run(run)
            try #require(first.status == 0, "\(first.errors)")
        }
        let few = try calls(tool, run)
        try Self.videos(600..<700, in: tool.path("others"))
        try #require(try tool.run("index", tool.path("others"), "--prefix-cache", "never").status == 0)
        try Self.videos(502..<503, in: tool.path("asked"))
        let many = try calls(tool, run)
        // One more file that has not changed, and perhaps too young to be known by its times.
        #expect(many.files.count <= few.files.count + 50, "\(few.files.count) → \(many.files.count)")
    }

    @Test func `an index under way is listed, and one that was interrupted`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let child = try Child(tool, "index", video, "--fps", "240", "--prefix-cache", "never", "--quiet")
        func folder() -> String? {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: tool.path("cache/indexes"))) ?? []
            return names.first.map { tool.path("cache/indexes/" + $0) }
        }
        let deadline = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < deadline, folder().map({ access($0 + "/000000.seg", F_OK) == 0 }) != true {
            usleep(2000)
        }
        child.send(SIGSTOP)
        let listed = try #require(try tool.run("ls", "--json").list().first)
        #expect(listed["state"] as? String == "indexing" && listed["path"] as? String == video)
        let frames = try #require(listed["frames"] as? Int)
        #expect(frames >= 600 && frames <= 2880, "\(frames)")
        #expect(listed["file"] as? String == "present")
        let id = try #require(listed["id"] as? String)
        #expect(try tool.run("ls").text.contains("indexing"))
        #expect(try tool.run("show", id, "--json").list().first?["state"] as? String == "indexing")
        child.send(SIGKILL)
        _ = child.end()
        let left = try #require(try tool.run("show", video, "--json").list().first)
        #expect(left["state"] as? String == "interrupted" && left["frames"] as? Int ?? 0 >= 600)
        #expect(try tool.run("rm", id, "--yes").status == 0)
        #expect(try tool.run("ls", "-q").text.isEmpty)
    }
}
