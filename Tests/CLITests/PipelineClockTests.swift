import Foundation
import Testing

/// Pipelines of recordings whose time and camera are known by their paths.
@Suite struct PipelineClockTests {
    private func prepare(_ tool: Tool, _ paths: [String], more: String = "") throws {
        for (number, path) in paths.enumerated() {
            let file = tool.path("in/" + path)
            try FileManager.default.createDirectory(
                at: URL(filePath: file).deletingLastPathComponent(), withIntermediateDirectories: true)
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=3", "-metadata", "title=\(number)", "-c:v",
                "mpeg4", file)
        }
        let yaml = """
            version: 1
            inputs: [in]
            order: path
            clock: "{camera}/%Y-%m-%d/%H-%M-%S"
            timezone: UTC
            questions: [{id: a, ask: Who?, max_tokens: 2}]
            outputs: [o.jsonl, o.sqlite]
            \(more)
            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
    }

    private func cameras(_ tool: Tool) throws -> [String] {
        ((try? Data(contentsOf: URL(filePath: tool.path("o.jsonl")))) ?? Data()).split(separator: UInt8(ascii: "\n"))
            .compactMap {
                let line = (try? JSONSerialization.jsonObject(with: $0)) as? [String: Any]
                return (line?["recording"] as? [String: Any])?["camera"] as? String
            }
    }

    @Test func `options select what is asked about, before the file's own keys`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(
            tool, ["c1/2026-11-28/10-00-00.mkv", "c2/2026-11-29/10-00-00.mkv", "c3/2026-11-30/10-00-00.mkv"],
            more: "since: 2026-11-30\n")
        #expect(try tool.run("run", "p.yaml", "--since", "2026-11-28", "--until", "2026-11-28").status == 0)
        #expect(try cameras(tool) == ["c1"])
        let other = try tool.run("run", "p.yaml", "--since", "2026-11-28", "--camera", "c2")
        #expect(other.status == 0 && other.errors.contains("0 indexed"), "\(other.errors)")
        #expect(try cameras(tool) == ["c1", "c2"])
        #expect(try tool.run("run", "p.yaml").status == 0)
        #expect(try cameras(tool) == ["c1", "c2", "c3"])
        for arguments in [["--since", "soon"], ["--since", "2026-11-29", "--until", "2026-11-28"]] {
            #expect(try tool.run(["run", "p.yaml"] + arguments).status == 64)
            #expect(try tool.run(["watch", "p.yaml"] + arguments).status == 64)
        }
        #expect(try tool.run("run", "p.yaml", "--until", "2026-11-29").status == 64, "the file's since is later")
    }

    @Test func `the database has the time of day and the camera, also if an earlier version made it`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool, ["c1/2026-11-28/10-00-00.mkv"])
        func query(_ text: String) throws -> String {
            let code =
                "import sqlite3, sys; c = sqlite3.connect('o.sqlite'); print(*[r for r in c.execute(sys.argv[1])]); c.commit()"
            return try Child(tool, program: "/usr/bin/python3", ["-c", code, text]).end().text
        }
        _ = try query(
            """
            CREATE TABLE answer (pipeline TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL, \
            time TEXT AS (json_extract(json, '$.time')), PRIMARY KEY (pipeline, key))
            """)
        _ = try query(
            """
            INSERT INTO answer (pipeline, key, json) VALUES ('p', 'k', '{"segment_clock":["a","b"],"recording":{"camera":"c0"}}')
            """)
        #expect(try tool.run("run", "p.yaml").status == 0)
        let old = try query("select camera, start_clock, end_clock, kind from answer where key = 'k'")
        #expect(old == "('c0', 'a', 'b', 'answer')\n")
        let new = try query("select camera, start_clock, end_clock >= start_clock from answer where key <> 'k'")
        #expect(new.hasPrefix("('c1', '2026-11-28T10:00:0") && new.hasSuffix(", 1)\n"), "\(new)")
        #expect(try tool.run("run", "p.yaml").status == 0)
    }

    /// The manifests with their inodes: a manifest that is written again is another file.
    private func manifests(_ tool: Tool) throws -> [String] {
        try #require(FileManager.default.enumerator(atPath: tool.path("cache"))).compactMap { $0 as? String }.filter {
            $0.hasSuffix("manifest.json")
        }.sorted().map { path in
            let inode = try FileManager.default.attributesOfItem(atPath: tool.path("cache/" + path))[.systemFileNumber]
            return "\(path) \(inode ?? 0)"
        }
    }

    @Test func `of two names of a recording the first one says when and where it was made`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool, ["c2/2026-11-28/10-00-00.mkv"])
        #expect(try tool.run("run", "p.yaml").status == 0)
        for name in ["c1/2026-11-27/09-00-00.mkv", "c3/2026-11-29/11-00-00.mkv"] {
            let copy = tool.path("in/" + name)
            try FileManager.default.createDirectory(
                at: URL(filePath: copy).deletingLastPathComponent(), withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: tool.path("in/c2/2026-11-28/10-00-00.mkv"), toPath: copy)
        }
        let before = try manifests(tool)
        #expect(before.count == 1)
        // A file that changed just now is read again.
        Thread.sleep(forTimeInterval: 2.1)
        let second = try tool.run("run", "p.yaml")
        #expect(second.status == 0 && second.errors.components(separatedBy: "names: ").count == 3, "\(second.errors)")
        let third = try tool.run("run", "p.yaml")
        #expect(third.status == 0 && !third.errors.contains("names: "), "\(third.errors)")
        #expect(try manifests(tool) == before)
        #expect(try tool.run("ls", "--json").list().allSatisfy { $0["camera"] as? String == "c2" })
        // Without the first name the others decide, in order.
        try FileManager.default.removeItem(atPath: tool.path("in/c2"))
        #expect(try tool.run("run", "p.yaml").status == 0)
        #expect(try tool.run("run", "p.yaml").status == 0)
        let now = try tool.run("ls", "--json").list().compactMap { $0["camera"] as? String }
        #expect(!now.isEmpty && now.allSatisfy { $0 == "c1" }, "\(now)")
        #expect(try cameras(tool) == ["c2"], "it is asked once")
    }
}
