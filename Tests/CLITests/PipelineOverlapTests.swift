import Foundation
import Glibc
import Testing

/// The next recording is decoded while one is computed.
@Suite struct PipelineOverlapTests {
    private func prepare(_ tool: Tool, _ seconds: [String: Int], more: String = "") throws {
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for (name, seconds) in seconds {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=5:duration=\(seconds)", "-metadata", "title=\(name)",
                "-c:v", "mpeg4", tool.path("in/" + name))
        }
        let yaml = """
            version: 1
            inputs: [in]
            order: path
            questions: [{id: a, ask: Who?, max_tokens: 2}]
            output: o.jsonl
            \(more)
            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
    }

    private func lines(_ tool: Tool) -> [[String: Any]] {
        ((try? Data(contentsOf: URL(filePath: tool.path("o.jsonl")))) ?? Data()).split(separator: UInt8(ascii: "\n"))
            .compactMap { (try? JSONSerialization.jsonObject(with: $0)) as? [String: Any] }
    }

    private func name(_ line: [String: Any]) -> String? {
        ((line["recording"] as? [String: Any])?["path"] as? String).map { URL(filePath: $0).lastPathComponent }
    }

    /// The files that the program has open.
    private func open(_ child: Child) -> [String] {
        let folder = "/proc/\(child.pid)/fd/"
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: folder + $0)).map {
                URL(filePath: $0).lastPathComponent
            }
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1))
    func `the next recording is begun before one is done, and a signal ends both`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        // The second one needs no decoding ahead of its turn: it is indexed already when the third is begun.
        try prepare(tool, ["a.mkv": 600, "b.mkv": 3, "c.mkv": 3])
        let run = try Child(tool, "run", "p.yaml")
        // Both are opened for a moment before, one after the other, to see whether they are new.
        var processes: (servers: [pid_t], workers: [pid_t]) = ([], [])
        try run.wait("two recordings at once") {
            processes = WorkerServerTests.processes(of: run.pid)
            let names = open(run)
            return names.contains("a.mkv") && names.contains("b.mkv") && !processes.workers.isEmpty
        }
        #expect(!open(run).contains("c.mkv"), "one ahead, not two")
        run.send(SIGTERM)
        let ended = run.end(limit: 20)
        #expect(ended.status == 143, "\(ended.errors)")
        try WorkerServerTests.waitForEnd(of: processes.servers + processes.workers)
        let again = try tool.run("run", "p.yaml")
        #expect(again.status == 0, "\(again.errors)")
        #expect(lines(tool).compactMap(name) == ["a.mkv", "b.mkv", "c.mkv"])
    }

    @Test func `each recording gets its own frames, and its own error in its turn`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try prepare(tool, ["a.mkv": 5, "c.mkv": 7, "e.mkv": 3, "g.mkv": 4], more: "min_age: 1h\n")
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("in/b.mkv")))
        try FileManager.default.copyItem(atPath: tool.path("in/a.mkv"), toPath: tool.path("in/f.mkv"))
        for name in ["a", "b", "c", "e", "f", "g"] {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -7200)], ofItemAtPath: tool.path("in/\(name).mkv"))
        }
        // It is still growing.
        try FileManager.default.copyItem(atPath: tool.path("in/c.mkv"), toPath: tool.path("in/d.mkv"))
        try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: tool.path("in/d.mkv"))
        // A change time of this moment would prove nothing in the second run.
        Thread.sleep(forTimeInterval: 2.2)
        let result = try tool.run("run", "p.yaml", "--json")
        #expect(result.status == 3, "\(result.errors)")
        let items = try result.lines().filter { $0["message_type"] as? String == "verbose_status" }.map {
            "\($0["action"] ?? "") \(URL(filePath: $0["item"] as? String ?? "").lastPathComponent) \($0["frames"] ?? "")"
        }
        #expect(
            items == [
                "new a.mkv 5", "new c.mkv 7", "skipped d.mkv 0", "new e.mkv 3", "unchanged f.mkv 5", "new g.mkv 4",
            ], "\(items)")
        #expect(result.errors.contains("b.mkv"))
        let summary = try #require(try result.lines().last)
        let (compute, waiting) = (summary["compute_seconds"] as? Double, summary["wait_for_frames_seconds"] as? Double)
        let total = try #require(summary["total_duration"] as? Double)
        #expect(try #require(compute) > 0 && #require(waiting) >= 0)
        #expect(try #require(compute) + #require(waiting) <= total)
        // The same answers as one recording alone gets.
        for line in lines(tool) {
            let file = try #require(name(line))
            let alone = try tool.run("ask", tool.path("in/" + file), "Who?", "--max-tokens", "2", "--json").object()
            #expect(alone["token_ids"] as? [Int] == line["token_ids"] as? [Int])
        }
        // What is still growing needs no model to be skipped.
        let known = try #require(try tool.run("run", "p.yaml", "--json").lines().last)
        #expect(known["files_skipped"] as? Int == 1)
        #expect(known["compute_seconds"] == nil, "no model was loaded")
    }
}
