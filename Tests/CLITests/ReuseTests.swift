import Foundation
import Testing

@Suite struct ReuseTests {
    /// Four pictures, each shown for 5 s.
    private func slides(_ tool: Tool) throws -> String {
        let path = tool.path("slides.mkv")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=s=160x120:r=0.2:d=20,fps=5", "-c:v", "ffv1", path)
        return path
    }

    @Test func `index tells how many frames are reused`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try slides(tool)
        let plan = try #require(try tool.run("index", video, "--dry-run", "--json", "--reuse", "auto").lines().first)
        #expect(plan["reuse"] as? String == "auto")
        #expect(try tool.run("index", video, "--dry-run", "--reuse", "1.5").text.contains("frames are reused (1.5)"))
        let plain = try tool.run("index", video, "--json").lines()
        #expect(plain.allSatisfy { $0["frames_reused"] == nil && $0["reuse"] == nil })

        let lines = try tool.run("index", video, "--json", "--reuse", "0").lines()
        let done = try #require(lines.first { $0["message_type"] as? String == "verbose_status" })
        #expect(done["frames"] as? Int == 20 && done["frames_reused"] as? Int == 16)
        let again = try tool.run("index", video, "--json", "--reuse", "0").lines()
        let known = try #require(again.first { $0["message_type"] as? String == "verbose_status" })
        #expect(known["action"] as? String == "unchanged" && known["frames_reused"] as? Int == 16)
        #expect(try tool.run("index", video, "--reuse", "2").text.contains("20 frames (16 reused), "))
        let shown = try tool.run("show", try #require(done["id"] as? String), "--json").list()
        #expect(Set(shown.compactMap { $0["frames_reused"] as? Int }) == [16])
        #expect(shown.count == 3)
    }

    @Test func `an index with references is asked, verified, repaired and pruned like any other`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try slides(tool)
        func answer(_ options: String...) throws -> String {
            try tool.run(["ask", video, "What is seen?", "--max-tokens", "6", "--json"] + options).object()["answer"]
                as? String ?? ""
        }
        let exact = try answer()
        let referring = try answer("--reuse", "0")
        #expect(!exact.isEmpty && exact == referring)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)

        let indexes = tool.path("cache/indexes")
        let folder = try #require(
            try FileManager.default.contentsOfDirectory(atPath: indexes).map { indexes + "/" + $0 }.first {
                try String(contentsOfFile: $0 + "/manifest.json", encoding: .utf8).contains("\"reused\":16")
            })
        let segment = folder + "/000000.seg"
        var bytes = try Data(contentsOf: URL(filePath: segment))
        bytes[bytes.count - 24 - 40 + 10] ^= 1
        try bytes.write(to: URL(filePath: segment))
        #expect(try tool.run("cache", "verify").status == 17)
        #expect(try tool.run("cache", "repair").status == 0)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
        let rebuilt = try answer("--reuse", "0")
        #expect(exact == rebuilt)
        #expect(try tool.run("cache", "prune", "--max", "1", "--yes").status == 0)
        #expect(try tool.run("ls", "--json").list().isEmpty)
    }

    @Test(
        arguments: [
            ("all", "invalid --reuse \"all\"; use off, exact, auto or a number from 0 to 255"),
            ("atuo", "invalid --reuse \"atuo\"; use off, exact, auto or a number from 0 to 255; did you mean auto?"),
            ("-1", "--reuse must be 0 to 255 gray levels, not -1"),
            ("nan", "--reuse must be 0 to 255 gray levels, not nan"),
            ("1e9", "--reuse must be 0 to 255 gray levels, not 1e9"),
        ])
    func `what is not a threshold`(value: String, message: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("index", "x", "--reuse=\(value)")
        #expect(result.status == 64 && result.errors.contains(message), "\(result.errors)")
    }

    @Test(
        arguments: [
            ("reuse: auto", nil, nil, "auto"), ("reuse: 2", "auto", nil, "2.0"), ("", "auto", nil, "auto"),
            ("reuse: auto", nil, "off", nil), ("reuse: exact", "auto", nil, nil), ("reuse: off", nil, "3", "3.0"),
        ] as [(String, String?, String?, String?)])
    func `reuse of a pipeline`(own: String, environment: String?, typed: String?, mode: String?) throws {
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_REUSE"] = environment
        let video = try slides(tool)
        let file = tool.path("p.yaml")
        try "version: 1\ninputs: [\(video)]\n\(own)\n".write(toFile: file, atomically: true, encoding: .utf8)
        let result = try tool.run(["run", file, "--json"] + (typed.map { ["--reuse", $0] } ?? []))
        #expect(result.status == 0, "\(result.errors)")
        let record = try #require(try tool.run("ls", "--json").list().first?["record"] as? String)
        #expect(mode.map { record.contains(":reuse=\($0):") } ?? !record.contains("reuse"), "\(record)")
    }

    @Test(arguments: ["-1", "nan", "often", "[1]"]) func `a pipeline with another word`(value: String) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let file = tool.path("p.yaml")
        try "version: 1\ninputs: [x]\nreuse: \(value)\n".write(toFile: file, atomically: true, encoding: .utf8)
        let result = try tool.run("run", file)
        #expect(result.status == 64)
        let message = "`reuse` must be off, exact, auto or a number from 0 to 255"
        #expect(result.errors.contains(message), "\(result.errors)")
    }
}
