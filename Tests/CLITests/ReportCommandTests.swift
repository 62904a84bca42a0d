import Foundation
import TestSupport
import Testing

/// The report of a run and about a recording: what is in the page, and that it is the JSON outputs'.
@Suite struct ReportCommandTests {
    private static let model = BundledModelTests.repository + "/Models/nano"
    /// What would be markup, a script or a control sequence if it were not escaped.
    static let hostile = "</script><img src=x onerror=alert(1)>\"'&\u{1B}[31m\u{202E}"

    /// A pipeline over recordings of the bundled model's world with a camera and a time of day; questions of both kinds.
    static func night(
        _ tool: Tool, more: String = "",
        search: String = "- {id: green, search: a green circle, threshold: -1, at_most: 2}"
    ) throws -> String {
        for (number, file) in ["test-1001730.mkv", "test-1003600.mp4"].enumerated() {
            let suffix = file.split(separator: ".")[1]
            let path = tool.path("recordings/front/2026-11-2\(8 + number)/04-00-00.\(suffix)")
            try FileManager.default.createDirectory(
                at: URL(filePath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
            try FileManager.default.copyItem(atPath: BundledModelTests.folder + file, toPath: path)
        }
        let yaml = """
            version: 1
            name: night
            model: \(model)
            inputs: [recordings]
            order: path
            clock: "{camera}/%Y-%m-%d/%H-%M-%S"
            timezone: "+01:00"
            evidence: 3
            questions:
              - {id: circle, ask: When does the circle appear?, max_tokens: 8}
              - {id: what, ask: What can be seen in the middle?, max_tokens: 8}
              - {id: count, ask: How many things are there in all?, every: 10s, max_tokens: 4}
              \(search)
            output: o.jsonl
            \(more)

            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        return tool.path("p.yaml")
    }

    static func page(_ tool: Tool, _ arguments: String...) throws -> String {
        let result = try tool.run(["report"] + arguments)
        try #require(result.status == 0, "\(result.errors)")
        return result.text
    }

    /// The JSON in a page.
    static func data(_ page: String) throws -> [String: Any] {
        let parts = page.components(separatedBy: #"<script type="application/json" id="longtake-data">"#)
        try #require(parts.count == 2)
        let json = try #require(parts[1].components(separatedBy: "</script>").first)
        return try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    }

    /// Every answer's evidence in the data, by the answer's key.
    static func evidence(_ data: [String: Any]) -> [String: [[String: Double]]] {
        var found: [String: [[String: Double]]] = [:]
        for recording in data["recordings"] as? [[String: Any]] ?? [] {
            for lane in recording["lanes"] as? [[String: Any]] ?? [] {
                for answer in lane["answers"] as? [[String: Any]] ?? [] {
                    found[answer["key"] as? String ?? "?"] = times(answer)
                }
            }
        }
        return found
    }

    private static func times(_ answer: [String: Any]) -> [[String: Double]] {
        (answer["evidence"] as? [[String: Any]] ?? []).map { one in
            one.compactMapValues { $0 as? Double }.filter { $0.key != "frame" }
        }
    }

    private static func headings(_ page: String) -> [String] {
        page.components(separatedBy: "<h").dropFirst().compactMap { part in
            guard let level = part.first, level.isNumber, let end = part.range(of: "</h") else { return nil }
            return "\(level) " + (part[..<end.lowerBound].split(separator: ">", maxSplits: 1).last ?? "")
        }
    }

    @Test func `a run's report has what is new, the answers, their evidence and the cost`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let pipeline = try Self.night(tool, more: "alerts: [{id: seen, when: circle found, command: [/bin/true]}]")
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("recordings/broken.mkv")))
        #expect(try tool.run("run", pipeline).status == 3)
        let page = try Self.page(tool, "last")
        #expect(try Self.page(tool) == page, "the same bytes")
        let heads = Self.headings(page)
        #expect(heads.first == "1 night: 2 recordings with something new")
        #expect(
            heads.filter { $0.hasPrefix("2") } == [
                "2 New since the last run", "2 Alerts", "2 Recordings", "2 What failed", "2 What it cost",
            ])
        #expect(heads.filter { $0.hasPrefix("3") } == ["3 04-00-00.mkv", "3 04-00-00.mp4", "3 In this run"])
        #expect(
            heads.filter { $0.hasPrefix("4") } == ["Search: green", "circle", "what", "count"].map { "4 " + $0 }
                + ["Search: green", "circle", "what", "count"].map { "4 " + $0 })
        for part in [
            "default-src 'none'", "model output, may be wrong", "recordings/front/2026-11-28/04-00-00.mkv", "front",
            "2026-11-28 04:00:2", "<strong>seen</strong>", "broken.mkv", "4 windows", ">score 0.",
            "data:image/jpeg;base64,/9j/",
        ] {
            #expect(page.contains(part), "\(part)")
        }
        #expect(page.components(separatedBy: "model output, may be wrong").count == 3, "once, and once in the JSON")
        #expect(!page.contains("http://") && !page.contains("https://"))
        // Every evidence time is that of the outputs.
        let lines = try tool.run("runs", "answers").lines()
        let expected = Dictionary(
            lines.map { ($0["key"] as? String ?? "", Self.times($0)) }, uniquingKeysWith: { first, _ in first })
        #expect(expected.count == 13 && expected.values.contains { !$0.isEmpty })
        let data = try Self.data(page)
        #expect(Self.evidence(data) == expected)
        #expect(try Self.evidence(tool.run("report", "--json").object()) == expected)
        #expect((data["failures"] as? [[String: Any]])?.first?["tries"] as? Int == 1)
        #expect((data["alerts"] as? [[String: Any]])?.count == 1)
        let bare = try Self.page(tool, "last", "--no-thumbnails")
        #expect(!bare.contains("<img") && bare.utf8.count < page.utf8.count)

        // The next run does nothing; a third one has a new recording and knows the run before.
        #expect(try tool.run("run", pipeline).status == 0)
        #expect(try Self.headings(Self.page(tool)).first == "1 night: nothing new")
        try FileManager.default.createDirectory(
            atPath: tool.path("recordings/back/2026-11-30"), withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: BundledModelTests.folder + "test-1004990.webm",
            toPath: tool.path("recordings/back/2026-11-30/05-00-00.webm"))
        #expect(try tool.run("run", pipeline).status == 0)
        let third = try Self.page(tool)
        #expect(Self.headings(third).filter { $0.hasPrefix("3") }.first == "3 05-00-00.webm")
        #expect(third.contains("The run before: <code>") && third.contains("Waiting to be tried again"))
    }

    @Test func `a recording's report has all answers, also without the file`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let pipeline = try Self.night(tool)
        #expect(try tool.run("run", pipeline).status == 0)
        let path = tool.path("recordings/front/2026-11-28/04-00-00.mkv")
        let own = "Which shape does the green thing have?"
        let asked = try tool.run("ask", path, own, "--model", Self.model, "--json")
        #expect(asked.status == 0, "\(asked.errors)")
        let out = tool.path("out/day.html")
        let made = try tool.run("report", path, "--out", out)
        #expect(made.status == 0 && made.text.isEmpty && made.errors.contains("wrote"), "\(made.errors)")
        let page = try String(contentsOfFile: out, encoding: .utf8)
        #expect(
            Self.headings(page).filter { $0.hasPrefix("4") }
                == ["4 Search: green", "4 circle", "4 what", "4 count", "4 " + own])
        let data = try Self.data(page)
        #expect(data["kind"] as? String == "recording")
        let recording = try #require((data["recordings"] as? [[String: Any]])?.first)
        #expect((recording["pictures"] as? [[String: Any]])?.isEmpty == false)
        let lanes = try #require(recording["lanes"] as? [[String: Any]])
        let stated = (lanes[4]["answers"] as? [[String: Any]])?.first?["evidence"] as? [[String: Any]] ?? []
        let given = try asked.object()["evidence"] as? [[String: Any]] ?? []
        #expect(!given.isEmpty && stated.map { $0["start"] as? Double } == given.map { $0["start"] as? Double })
        let id = try #require(recording["id"] as? String)
        #expect(try Self.page(tool, id) == page && Self.page(tool, String(id.prefix(10))) == page)

        try FileManager.default.removeItem(atPath: path)
        let without = try tool.run("report", id)
        #expect(without.status == 0 && !without.text.contains("<img"))
        #expect(without.text.contains("Note: ") && without.errors.contains("note: "), "\(without.errors)")
    }

    @Test func `names and answers are text, whatever they are`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let hostile = Self.hostile
        let file = tool.path("in/cam" + hostile + ".mkv")
        try FileManager.default.createDirectory(
            at: URL(filePath: file).deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: BundledModelTests.folder + "test-1001730.mkv", toPath: file)
        // JSON is YAML: any text can be written so. A choice has no control characters.
        let choice = String(hostile.prefix { $0 != "\u{1B}" })
        let pipeline: [String: Any] = [
            "version": 1, "name": "p" + hostile, "model": Self.model, "inputs": ["in"], "output": "o.jsonl",
            "questions": [
                ["id": "q" + hostile, "ask": "What " + hostile, "answer": ["choice": [choice, choice + "2"]]],
                [
                    "id": "w" + hostile, "ask": "When " + hostile, "answer": ["choice": [choice, choice + "2"]],
                    "every": "10s",
                ],
            ],
        ]
        try JSONSerialization.data(withJSONObject: pipeline).write(to: URL(filePath: tool.path("p.yaml")))
        let run = try tool.run("run", tool.path("p.yaml"))
        #expect(run.status == 0, "\(run.errors)")
        let page = try Self.page(tool)
        let body = try #require(page.components(separatedBy: "</style>").last)
        #expect(!body.contains("<img src=x") && !body.contains("\u{1B}") && !body.contains("\u{202E}"))
        #expect(
            page.components(separatedBy: "</script>").count == 2 && page.components(separatedBy: "<script").count == 2)
        #expect(body.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;\\u{1b}[31m\\u{202e}"))
        let data = try Self.data(page)
        let recording = try #require((data["recordings"] as? [[String: Any]])?.first)
        #expect(
            (recording["path"] as? String)?.hasSuffix("img src=x onerror=alert(1)>\"'&\u{1B}[31m\u{202E}.mkv") == true)
        let lanes = try #require(recording["lanes"] as? [[String: Any]])
        let answers = lanes.flatMap { $0["answers"] as? [[String: Any]] ?? [] }
        #expect(
            answers.count == 5
                && answers.allSatisfy { ($0["answer"] as? String)?.hasPrefix(choice) == true })
        #expect(try !tool.run("report", "--json").text.contains("\u{1B}"))
    }

    @Test func `a pipeline writes its report, and one page per recording`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let pipeline = try Self.night(
            tool, more: "report: \"reports/{date}.html\"\noutputs: [\"pages/{folder}.html\"]")
        #expect(try tool.run("run", pipeline).status == 0)
        let names = try FileManager.default.contentsOfDirectory(atPath: tool.path("reports"))
        let report = tool.path("reports/" + (try #require(names.first)))
        #expect(names.count == 1 && names[0].count == "2026-11-29.html".count)
        let page = try Data(contentsOf: URL(filePath: report))
        #expect(try page == tool.run("report", "last").output)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: tool.path("pages")).sorted() == [
                "2026-11-28.html", "2026-11-29.html",
            ])
        let own = try String(contentsOfFile: tool.path("pages/2026-11-28.html"), encoding: .utf8)
        #expect(try Self.data(own)["kind"] as? String == "recording" && own.contains("<img"))
        // A run that does nothing leaves the page.
        #expect(try tool.run("run", pipeline).status == 0)
        #expect(try Data(contentsOf: URL(filePath: report)) == page)
    }

    @Test func `what cannot be reported or written is said`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        #expect(try tool.run("report").status == 64)
        let unknown = try tool.run("report", "nosuch", "--json")
        #expect(unknown.status == 10 && unknown.errors.contains("no run and no indexed recording nosuch"))
        #expect(try tool.run("report", "vid_0123456789abcdef").status == 10)
        let id = try tool.run("index", Fixtures.video.get(), "--quiet").text.trimmingCharacters(in: .newlines)
        #expect(try tool.run("report", id).status == 0)
        #expect(try tool.run("report", id, "--out", tool.path(".")).status == 64)
        #expect(try tool.run("report", id, "--out", "/dev/null").status == 64)
        #expect(FileManager.default.fileExists(atPath: "/dev/null"))
        let file = tool.path("file")
        try Data().write(to: URL(filePath: file))
        let refused = try tool.run("report", id, "--out", file + "/a.html")
        #expect(refused.status == 13 && refused.errors.contains("cannot write the report"), "\(refused.errors)")
        let wrong = "version: 1\ninputs: [a]\noutput: o.jsonl\nreport: \"{name}.html\"\n"
        try Data(wrong.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let checked = try tool.run("pipeline", "check", "p.yaml")
        #expect(checked.status == 64 && checked.errors.contains("the report is one file per run"), "\(checked.errors)")
    }
}
