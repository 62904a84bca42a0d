import Foundation
import TestSupport
import Testing

@Suite struct PipelineCommandTests {
    private func keys(_ tool: Tool, _ yaml: String) throws -> Set<String> {
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let errors = try tool.run("pipeline", "check", "p.yaml").errors
        let list = try #require(errors.split(separator: "known keys: ").last)
        return Set(list.split { $0 == "," || $0 == "\n" }.map { $0.trimmingCharacters(in: .whitespaces) })
    }

    @Test func `the schema has the keys that the program reads, everywhere`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let schema = try tool.run("pipeline", "schema").object()
        // The shipped pipelines name this file in their first line.
        let shipped = try Data(contentsOf: PipelineTests.shipped.appending(path: "pipeline.schema.json"))
        #expect(
            try shipped == tool.run("pipeline", "schema").output,
            "longtake pipeline schema >pipelines/pipeline.schema.json")
        let properties = try #require(schema["properties"] as? [String: [String: Any]])
        func object(_ key: String) throws -> Set<String> {
            let items = try #require(properties[key]?["items"] as? [String: Any])
            let parts = try #require(items["anyOf"] as? [[String: Any]])
            return Set(try #require(parts.last?["properties"] as? [String: Any]).keys)
        }
        let word = "zzzzzzzzzzzzzzzzzzzz"
        #expect(try keys(tool, "version: 1\ninputs: [a]\n\(word): 1\n") == Set(properties.keys))
        #expect(try keys(tool, "version: 1\ninputs: [{\(word): 1}]\n") == object("inputs"))
        #expect(
            try keys(tool, "version: 1\ninputs: [a]\noutput: o\nquestions: [{ask: a, \(word): 1}]\n")
                == object("questions"))
        let alerts = try #require(properties["alerts"]?["items"] as? [String: Any])
        #expect(
            try keys(tool, "version: 1\ninputs: [a]\nalerts: [{\(word): 1}]\n")
                == Set(try #require(alerts["properties"] as? [String: Any]).keys))
        #expect(try keys(tool, "version: 1\ninputs: [a]\noutputs: [{\(word): 1}]\n") == object("outputs"))
    }

    @Test func `a new pipeline is valid, and the shipped ones are`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let made = try tool.run("pipeline", "init", "cam: \"1\"", "--input", "my: recordings")
        #expect(made.status == 0 && made.text == "cam: \"1\".yaml\n", "\(made.errors)")
        let checked = try tool.run("pipeline", "check", "cam: \"1\".yaml", "--json")
        #expect(checked.status == 0, "\(checked.errors)")
        #expect(try checked.object()["pipeline"] as? String == "cam: \"1\"")
        #expect(try checked.object()["missing"] as? [String] == [tool.path("my: recordings")])
        #expect(try tool.run("pipeline", "init", "cam: \"1\"").status == 64, "it exists")
        #expect(try tool.run("pipeline", "init", "../a").status == 64)
        for name in try FileManager.default.contentsOfDirectory(atPath: PipelineTests.shipped.path)
        where name.hasSuffix(".yaml") {
            let path = PipelineTests.shipped.appending(path: name).path
            #expect(try tool.run("pipeline", "check", path).status == 0, "\(name)")
        }
        #expect(try tool.run("pipeline", "check", "nosuch.yaml").status == 64)
    }

    @Test func `watch takes each recording once, when it is finished`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let files = FileManager.default
        for folder in ["in", "made"] {
            try files.createDirectory(atPath: tool.path(folder), withIntermediateDirectories: true)
        }
        // A third each: moved, copied, appended to.
        let third = max(2, (LongRun.count(of: 30) ?? 6) / 3)
        let names = (0..<3 * third).map { "r\($0).mkv" }
        for (number, name) in names.enumerated() {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=3", "-metadata", "title=\(number)", "-c:v",
                "mpeg4", tool.path("made/" + name))
        }
        let yaml = """
            version: 1
            inputs: [in]
            questions: [{id: a, ask: Who?, max_tokens: 2}]
            output: o.jsonl
            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let watch = try Child(tool, "watch", "p.yaml", "--min-age", "1s", "--interval", "0.5s")
        func count() -> Int {
            (try? Data(contentsOf: URL(filePath: tool.path("o.jsonl"))))?.split(separator: UInt8(ascii: "\n")).count
                ?? 0
        }
        // Some are moved into the folder, in a subfolder of its own.
        try files.createDirectory(atPath: tool.path("in/sub"), withIntermediateDirectories: true)
        for name in names[0..<third] {
            try files.moveItem(atPath: tool.path("made/" + name), toPath: tool.path("in/sub/" + name))
        }
        try watch.wait("the moved ones") { count() == third }
        // Some are copied slowly, and written in parts, by processes that keep them open: all at once.
        let parts =
            "for i in 1 2 3 4; do tail -c +$((i * 500 + 1)) made/$1 | head -c 500 >&3; sleep 0.3; done; tail -c +2501 made/$1 >&3"
        let whole = "while [ ! -e go ]; do sleep 0.05; done; tail -c +501 made/$1 >&3"
        let writers = try names[third...].enumerated().map { number, name in
            try Child(
                tool,
                shell: "exec 3>>in/$1; head -c 500 made/$1 >&3; \(number < third ? whole : "sleep 1.5; " + parts)",
                [name])
        }
        let rest = writers[third...].map { $0.end() }
        #expect(rest.allSatisfy { $0.status == 0 })
        try watch.wait("the appended ones") { count() == 2 * third }
        usleep(2_500_000)
        #expect(count() == 2 * third, "the others are still open")
        _ = files.createFile(atPath: tool.path("go"), contents: nil)
        for writer in writers[..<third] { #expect(writer.end().status == 0) }
        try watch.wait("the copied ones") { count() == 3 * third }
        watch.send(SIGTERM)
        #expect(watch.end().status == 143)
        let lines = try Data(contentsOf: URL(filePath: tool.path("o.jsonl"))).split(separator: UInt8(ascii: "\n")).map {
            try JSONSerialization.jsonObject(with: $0) as? [String: Any]
        }
        let ids = lines.compactMap { ($0?["recording"] as? [String: Any])?["id"] as? String }
        #expect(ids.count == 3 * third && Set(ids).count == ids.count, "each once, and each whole: \(ids)")
        #expect(lines.allSatisfy { $0?["frames"] as? Int == 3 })
    }
}
