import Foundation
import Testing

/// Questions for what is new in a recording that has grown.
@Suite struct PipelineNewTests {
    private static let yaml = """
        version: 1
        inputs: [in]
        max_tokens: 2
        questions:
          - {id: all, ask: What?}
          - {id: new, ask: What?, for: new}
          - {id: parts, ask: Who?, every: 10s, for: new}
          - {id: after, ask: Why?, every: 10s, for: new, if: parts is not "something else"}
          - {id: begin, ask: When?, to: 5, for: new}
        outputs: [o.jsonl, "d/{name}.vtt"]
        """

    /// A recording of 40 s whose beginning is a recording too, as it is while a camera writes it.
    private func prepare(_ tool: Tool) throws -> (whole: Data, begin: Data) {
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        let whole = try recording(tool, "testsrc", seconds: 40)
        let begin = whole.prefix(whole.count * 6 / 10 / 188 * 188)
        try begin.write(to: URL(filePath: tool.path("in/a.ts")))
        try Data(Self.yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        return (whole, begin)
    }

    private func recording(_ tool: Tool, _ source: String, seconds: Int) throws -> Data {
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "\(source)=size=96x64:rate=5:duration=\(seconds)", "-c:v", "mpeg2video", "-f",
            "mpegts",
            tool.path("made.ts"))
        return try Data(contentsOf: URL(filePath: tool.path("made.ts")))
    }

    private func lines(_ tool: Tool, _ id: String) throws -> [[String: Any]] {
        try Data(contentsOf: URL(filePath: tool.path("o.jsonl"))).split(separator: UInt8(ascii: "\n")).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }.filter { $0["question_id"] as? String == id }
    }

    private func ranges(_ tool: Tool, _ id: String) throws -> [[Double]] {
        try lines(tool, id).compactMap { $0["range"] as? [Double] }
    }

    private func windows(_ tool: Tool, _ id: String) throws -> [[Double]] {
        try lines(tool, id).compactMap { $0["segment"] as? [Double] }
    }

    @Test(arguments: [nil, "answers-recorded", "answers-appended"])
    func `a recording that has grown is asked about what is new in it`(crash: String?) throws {
        var tool = try Tool()
        defer { tool.remove() }
        let (whole, _) = try prepare(tool)
        let first = try tool.run("run", "p.yaml")
        #expect([0, 3].contains(first.status), "\(first.errors)")
        let range = try #require(try ranges(tool, "new").first)
        #expect(try ranges(tool, "all") == [range] && range[1] > 15)
        let parts = try windows(tool, "parts")
        #expect(parts.first?[0] == 0 && parts.last?[0] == 20 && (parts.last?[1] ?? 30) < 30)
        #expect(try windows(tool, "after") == parts)
        // What did not grow is not asked about again.
        let again = try #require(try tool.run("run", "p.yaml", "--json").lines().last)
        #expect(again["answers"] as? Int == 0)

        try whole.write(to: URL(filePath: tool.path("in/a.ts")))
        if let crash {
            tool.environment["LONGTAKE_CRASH_AT"] = crash
            #expect(try tool.run("run", "p.yaml").status != 0)
            tool.environment["LONGTAKE_CRASH_AT"] = nil
        }
        let grown = try tool.run("run", "p.yaml")
        #expect(grown.status == 0, "\(grown.errors)")
        let all = try ranges(tool, "all")
        #expect(all.count == 2 && all[1][0] == range[0] && all[1][1] > 38)
        let new = try ranges(tool, "new")
        #expect(new.count == 2 && abs(new[1][0] - range[1] - 1) < 1e-6 && new[1][1] == all[1][1], "\(new)")
        for one in try lines(tool, "new").dropFirst() {
            let evidence = try #require(one["evidence"] as? [[String: Any]])
            #expect(evidence.allSatisfy { ($0["start"] as? Double ?? 0) > range[1] }, "on the recording's time line")
        }
        // The last window was incomplete.
        let later = try windows(tool, "parts").dropFirst(parts.count)
        #expect(later.map { $0[0] } == [20, 30] && later.first?[1] == 30, "\(later)")
        #expect(try windows(tool, "after").dropFirst(parts.count) == later)
        #expect(try lines(tool, "begin").count == 1, "its range was covered")
        let keys = try ["all", "new", "parts", "after"].flatMap { try lines(tool, $0) }.compactMap {
            $0["key"] as? String
        }
        #expect(keys.count == Set(keys).count)
        // The document of the recording has what was said before, too.
        let vtt = try String(contentsOfFile: tool.path("d/a.vtt"), encoding: .utf8)
        for window in [
            "00:00:00.000 --> 00:00:10.000", "00:00:10.000 --> 00:00:20.000", "00:00:20.000 --> 00:00:30.000",
        ] {
            #expect(vtt.components(separatedBy: window).count == 3, "once for each of two questions: \(window)")
        }
        #expect(vtt.components(separatedBy: "00:00:20.000 --> ").count == 3, "no incomplete window")
        let last = try #require(try tool.run("run", "p.yaml", "--json").lines().last)
        #expect(last["answers"] as? Int == 0)
    }

    @Test func `another recording in its place is asked about as a whole`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try prepare(tool)
        #expect([0, 3].contains(try tool.run("run", "p.yaml").status))
        try recording(tool, "testsrc2", seconds: 45).write(to: URL(filePath: tool.path("in/a.ts")))
        let result = try tool.run("run", "p.yaml")
        #expect(result.status == 0, "\(result.errors)")
        let (all, new) = (try ranges(tool, "all"), try ranges(tool, "new"))
        #expect(all.count == 2 && new == all)
        #expect(try windows(tool, "parts").count { $0 == [0, 10] } == 2)
        let vtt = try String(contentsOfFile: tool.path("d/a.vtt"), encoding: .utf8)
        #expect(vtt.components(separatedBy: "00:00:00.000 --> 00:00:10.000").count == 3)
    }

    @Test(arguments: [
        ("[{ask: a, for: ever}]", "`for` must be all or new"),
        ("[{id: a, ask: a, for: new}, {id: b, ask: b, if: a found}]", "needs `for: new`"),
    ])
    func `what is wrong is named`(questions: String, word: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        try Data("version: 1\ninputs: [in]\noutput: o\nquestions: \(questions)\n".utf8).write(
            to: URL(filePath: tool.path("p.yaml")))
        let result = try tool.run("pipeline", "check", "p.yaml")
        #expect(result.status == 64 && result.errors.contains(word), "\(result.errors)")
    }
}
