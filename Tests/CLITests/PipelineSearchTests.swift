import Foundation
import Testing

/// Text searches in pipelines, with the bundled model over recordings of its world.
@Suite struct PipelineSearchTests {
    private static let text = "a red star on the right, the board is empty, at night"

    private func tool() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = SearchCommandTests.model
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for path in SearchCommandTests.recordings {
            try FileManager.default.copyItem(
                atPath: path, toPath: tool.path("in/" + URL(filePath: path).lastPathComponent))
        }
        return tool
    }

    private func write(_ tool: Tool, _ yaml: String) throws -> String {
        try Data("version: 1\ninputs: [in]\norder: path\n\(yaml)".utf8).write(to: URL(filePath: tool.path("p.yaml")))
        return tool.path("p.yaml")
    }

    private func lines(_ path: String) throws -> [[String: Any]] {
        try Data(contentsOf: URL(filePath: path)).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }
    }

    @Test func `a search is an answer of each recording, with the moments that search finds`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let pipeline = try write(
            tool,
            """
            questions:
              - {id: star, search: "\(Self.text)", at_most: 2}
              - {id: never, search: "\(Self.text)", threshold: 1}
              - {id: part, search: "\(Self.text)", threshold: -1, from: 2, to: 5}
            outputs: [o.jsonl, o.csv, o.sqlite, "docs/{name}.vtt", "docs/{name}.srt", "docs/{name}.chapters"]
            digest: d.md
            """)
        let result = try tool.run("run", pipeline, "--json")
        #expect(result.status == 0, "\(result.errors)")
        let given = try lines(tool.path("o.jsonl"))
        #expect(given.count == 6 && given.allSatisfy { $0["kind"] as? String == "search" })
        for path in ["in/test-1003600.mp4", "in/test-1004990.webm"] {
            func one(_ id: String) throws -> [String: Any] {
                try #require(
                    given.first {
                        $0["question_id"] as? String == id
                            && ($0["recording"] as? [String: Any])?["path"] as? String == tool.path(path)
                    })
            }
            let star = try one("star")
            let search = try tool.run("search", Self.text, path, "--limit", "2", "--json").object()
            let moments = try #require(search["moments"] as? [[String: Any]])
            let evidence = try #require(star["evidence"] as? [[String: Any]])
            #expect(!evidence.isEmpty && evidence.count <= 2 && evidence.count == moments.count)
            for (one, other) in zip(evidence, moments) {
                for key in ["start", "end", "score", "start_from_first_frame"] {
                    #expect(one[key] as? Double == other[key] as? Double, "\(key)")
                }
                #expect(one["frame"] as? Int == other["frame"] as? Int)
            }
            #expect(star["score"] as? Double == search["best"] as? Double)
            #expect(star["question"] as? String == Self.text && star["found"] as? Bool == true)
            #expect(star["value"] as? Int == evidence.count && star["run_id"] is String && star["key"] is String)
            let never = try one("never")
            #expect(never["found"] as? Bool == false && (never["evidence"] as? [Any])?.isEmpty == true)
            #expect(never["answer"] as? String == "no moment" && never["score"] is Double)
            let part = try #require(try one("part")["evidence"] as? [[String: Any]])
            #expect(part.count == 1 && part.allSatisfy { ($0["start"] as? Double ?? 0) >= 2 })
            #expect(try one("part")["frames"] as? Int == 3)
        }
        let rows = try String(contentsOfFile: tool.path("o.csv"), encoding: .utf8).split(separator: "\r\n").dropFirst()
        #expect(rows.count == given.reduce(0) { $0 + max(1, ($1["evidence"] as? [Any])?.count ?? 0) })
        let vtt = try String(contentsOfFile: tool.path("docs/test-1003600.vtt"), encoding: .utf8)
        #expect(vtt.contains("a red star on the right") && !vtt.contains("no moment"), "\(vtt)")
        let digest = try String(contentsOfFile: tool.path("d.md"), encoding: .utf8)
        #expect(digest.contains("- **star**: ") && digest.contains("moment"))

        let again = try #require(try tool.run("run", pipeline, "--json").lines().last)
        #expect(again["answers"] as? Int == 0 && again["answers_unchanged"] as? Int == 6)
        // Without the catalog's answers, those in the output count.
        try FileManager.default.removeItem(atPath: tool.path("data"))
        let rebuilt = try #require(try tool.run("run", pipeline, "--json").lines().last)
        #expect(rebuilt["answers"] as? Int == 0 && rebuilt["answers_unchanged"] as? Int == 6)
    }

    @Test func `questions and alerts may depend on a search`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let pipeline = try write(
            tool,
            """
            max_tokens: 2
            questions:
              - {id: star, search: "\(Self.text)", threshold: 0, every: 10s}
              - {id: where, ask: Where is it?, every: 10s, if: star found}
              - {id: none, ask: Where is it?, every: 10s, if: star score >= 1}
              - {id: many, ask: Where is it?, every: 10s, if: star >= 1}
            output: o.jsonl
            alerts:
              - {id: seen, when: star score >= 0, command: [tee, -a, seen]}
              - {id: any, when: score >= 1, command: [touch, never]}
            """)
        let result = try tool.run("run", pipeline)
        #expect(result.status == 0, "\(result.errors)")
        let given = try lines(tool.path("o.jsonl"))
        func segments(_ id: String, where isWanted: ([String: Any]) -> Bool = { _ in true }) -> [[Double]] {
            given.filter { $0["question_id"] as? String == id && isWanted($0) }.compactMap {
                $0["segment"] as? [Double]
            }
        }
        let found = segments("star") { $0["found"] as? Bool == true }
        #expect(!found.isEmpty && segments("where") == found && segments("many") == found)
        #expect(segments("none").isEmpty)
        let seen = try lines(tool.path("seen"))
        #expect(seen.count == segments("star") { $0["score"] as? Double ?? -1 >= 0 }.count)
        #expect(!FileManager.default.fileExists(atPath: tool.path("never")))
        let check = try tool.run("pipeline", "check", pipeline)
        #expect(check.text.contains("search") && check.text.contains("star: a red star"), "\(check.text)")
    }

    @Test func `a model that cannot search is named at the start of the run`() throws {
        var tool = try tool()
        defer { tool.remove() }
        // Its tower has no text half.
        tool.environment["LONGTAKE_MODEL"] = try Fixtures.model.get()
        let pipeline = try write(
            tool,
            "questions: [{search: a car}]\noutput: o.jsonl\nalerts: [{when: run failed, command: [tee, -a, failed]}]\n")
        let result = try tool.run("run", pipeline, "--json")
        #expect(result.status == 12, "\(result.errors)")
        #expect(try result.exitError()["error"] as? String == "unsupported_model", "\(result.errors)")
        #expect(result.errors.contains("text half"), "\(result.errors)")
        #expect(try tool.run("ls", "--json").list().isEmpty, "nothing was indexed")
        #expect(try tool.run("run", pipeline, "--plan").status == 12)
        #expect(try tool.run("runs", "--json").list().map { $0["state"] as? String } == ["failed"])
        #expect(try lines(tool.path("failed")).count == 1)
    }

    @Test(arguments: [
        ("{search: a car, ask: b}", ":5: question 1 has both `ask` and `search`"),
        ("{search: a car, max_tokens: 3}", "`max_tokens` belongs to `ask`"),
        ("{ask: a, threshold: 0.3}", "`threshold` belongs to `search`"),
        ("{search: a car, threshold: 2}", "-1.0 to 1.0"),
        ("{search: \"  \"}", "at least one word"), ("{search: a car, at_most: 0}", "1 or more"),
        ("{search: a car, at_most: 1000000}", "1 to 100000"), ("{id: a}", "`ask` or `search` is missing"),
        ("{serch: a}", "did you mean `search`"),
    ])
    func `a search that is wrong is named`(question: String, word: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let pipeline = try write(tool, "output: o\nquestions: [\(question)]\n")
        let result = try tool.run("pipeline", "check", pipeline)
        #expect(result.status == 64 && result.errors.contains(word), "\(result.errors)")
    }
}
