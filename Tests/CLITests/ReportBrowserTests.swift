import Foundation
import TestSupport
import Testing

/// Reports in Debian's Chromium, driven by `Tests/Report/browser.py`; `scripts/setup --test` installs both.
@Suite struct ReportBrowserTests {
    struct Found: Decodable {
        struct Violation: Decodable {
            let id: String
            let impact: String?
            let `where`: [[String]]
        }

        let bytes: Int
        let load_seconds: Double
        let console: [String]
        let requests: [String]
        let violations: [String: [Violation]]
        let scripts: Int
        let handlers: Int
        let images: Int
        let broken: Int
        let foreign: Int
        let headings: [Int]
        let ids: [String]
        let targets: [String]
        let text: String
        let lang: String
        /// Start and end of each drawn interval: per recording and lane; and the same by the data in the page.
        let drawn: [[[[Double]]]]
        let stated: [[[[Double]]]]
        /// In pixels.
        let largest_offset: Double
        let outside: Int
        let first_focus: String
        let focus_outline: String
        let rows_missing_in_print: Int
        let print_bytes: Int
        let phone_overflow: Int
    }

    /// Opens a page and checks what holds for every report.
    @discardableResult
    static func check(_ file: String) throws -> Found {
        let python = BundledModelTests.repository + "/.build/test-python/bin/python"
        try #require(FileManager.default.fileExists(atPath: python), "scripts/setup --test installs \(python)")
        try #require(FileManager.default.fileExists(atPath: "/usr/bin/chromium"), "scripts/setup --test installs it")
        let script = BundledModelTests.repository + "/Tests/Report/browser.py"
        let found = try JSONDecoder().decode(Found.self, from: RealTool.run(python, [script, file]))
        #expect(found.console.isEmpty, "\(found.console)")
        #expect(found.requests.isEmpty, "\(found.requests)")
        for scheme in ["light", "dark"] {
            let bad = try #require(found.violations[scheme]).filter {
                ["serious", "critical"].contains($0.impact ?? "")
            }
            #expect(bad.isEmpty, "\(scheme): \(bad.prefix(5))")
        }
        #expect(found.scripts == 1 && found.handlers == 0 && found.broken == 0 && found.foreign == 0)
        #expect(found.lang == "en" && found.headings.first == 1)
        for (one, next) in zip(found.headings, found.headings.dropFirst()) {
            #expect(next <= one + 1, "a level of headings is left out")
        }
        #expect(Set(found.ids).count == found.ids.count)
        #expect(Set(found.targets).subtracting(found.ids).isEmpty, "\(Set(found.targets).subtracting(found.ids))")
        #expect(found.drawn == found.stated)
        #expect(found.largest_offset < 2 && found.outside == 0, "\(found.largest_offset) pixels")
        #expect(found.first_focus == "skip" && found.focus_outline != "none")
        #expect(found.rows_missing_in_print == 0 && found.print_bytes > 1000)
        #expect(found.phone_overflow <= 0)
        print("report: \(found.bytes) bytes, \(found.images) images, opened in \(found.load_seconds) s")
        return found
    }

    @Test func `a report opens without a network, and says the same to everyone`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let pipeline = try ReportCommandTests.night(
            tool, more: "report: r.html\nalerts: [{id: seen, when: circle found, command: [/bin/true]}]")
        try Data(repeating: 7, count: 5000).write(to: URL(filePath: tool.path("recordings/broken.mkv")))
        #expect(try tool.run("run", pipeline).status == 3)
        let found = try Self.check(tool.path("r.html"))
        #expect(found.drawn.count == 2 && found.drawn.joined().joined().count > 3 && found.images > 3)
        #expect(found.text.contains("model output, may be wrong"))
        let id = try #require(try tool.run("ls", "--json").list().first?["id"] as? String)
        #expect(try tool.run("report", id, "--out", "one.html").status == 0)
        #expect(try Self.check(tool.path("one.html")).images > 1)
    }

    @Test func `hostile names and answers stay text in a browser`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let text = ReportCommandTests.hostile
        let choice = String(text.prefix { $0 != "\u{1B}" })
        let folder = tool.path("in/cam" + text)
        try FileManager.default.createDirectory(
            at: URL(filePath: folder).deletingLastPathComponent(), withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: BundledModelTests.folder + "test-1001730.mkv", toPath: folder + ".mkv")
        let pipeline: [String: Any] = [
            "version": 1, "name": text, "model": BundledModelTests.repository + "/Models/nano", "inputs": ["in"],
            "report": "r.html", "output": "o.jsonl",
            "questions": [["id": text, "ask": text, "answer": ["choice": [choice, choice + "2"]], "every": "10s"]],
        ]
        try JSONSerialization.data(withJSONObject: pipeline).write(to: URL(filePath: tool.path("p.yaml")))
        let run = try tool.run("run", tool.path("p.yaml"))
        #expect(run.status == 0, "\(run.errors)")
        let found = try Self.check(tool.path("r.html"))
        #expect(found.text.contains("</script><img src=x onerror=alert(1)>\"'&\\u{1b}[31m\\u{202e}"))
    }

    /// 50 recordings of one night; LONGTAKE_LONG sets the share of them.
    @Test(.enabled(if: LongRun.count(of: 50) != nil), .timeLimit(.minutes(60)))
    func `the report of a long night`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let count = try #require(LongRun.count(of: 50))
        let pipeline = try ReportCommandTests.night(tool, more: "report: r.html", search: "")
        try FileManager.default.removeItem(atPath: tool.path("recordings"))
        let sources = ["test-1001730.mkv", "test-1003600.mp4", "test-1004990.webm"]
        for number in 0..<count {
            let source = sources[number % 3]
            let two = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
            let path = tool.path("recordings/cam\(number % 5)/2026-11-\(two(1 + number / 5))/0\(number % 5)-00-00.mkv")
            try FileManager.default.createDirectory(
                at: URL(filePath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
            // Each has a content of its own.
            try Fixtures.ffmpeg(
                "-i", BundledModelTests.folder + source, "-metadata", "title=\(number)", "-c", "copy", path)
        }
        let run = try tool.run("run", pipeline)
        #expect(run.status == 0, "\(run.errors)")
        let found = try Self.check(tool.path("r.html"))
        #expect(found.bytes < 5_000_000 && found.drawn.count == count)
        let lines = try tool.run("runs", "answers").lines()
        let expected = Set(
            lines.flatMap {
                ($0["evidence"] as? [[String: Any]] ?? []).map { ["\($0["start"] ?? "")", "\($0["end"] ?? "")"] }
            })
        let drawn = Set(found.drawn.joined().joined().map { $0.map { Int(exactly: $0).map { "\($0)" } ?? "\($0)" } })
        #expect(drawn == expected)
    }

    /// A day of one camera, a frame every ten seconds, asked in windows of ten minutes.
    @Test(.enabled(if: LongRun.isWhole), .timeLimit(.minutes(60)))
    func `the report about a day`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        // 40 s of a desk, each shown for ten, over and over.
        try Fixtures.ffmpeg(
            "-i", BundledModelTests.folder + "test-1001730.mkv", "-vf", "fps=1,setpts=N*10/TB", "-r", "1/10", "-c:v",
            "libx264", "-preset", "ultrafast", "-g", "6", tool.path("scene.mkv"))
        try Fixtures.ffmpeg(
            "-stream_loop", "-1", "-i", tool.path("scene.mkv"), "-t", "86400", "-c", "copy", tool.path("day.mkv"))
        let yaml = """
            version: 1
            model: \(BundledModelTests.repository)/Models/nano
            inputs: [day.mkv]
            fps: 0.1
            questions:
              - {id: circle, ask: When does the circle appear?, max_tokens: 8}
              - {id: what, ask: What can be seen in the middle?, every: 10m, max_tokens: 8}
              - {id: count, ask: How many things are there in all?, every: 10m, max_tokens: 4}
            output: o.jsonl
            report: r.html

            """
        try Data(yaml.utf8).write(to: URL(filePath: tool.path("p.yaml")))
        let run = try tool.run("run", "p.yaml")
        #expect(run.status == 0, "\(run.errors)")
        let found = try Self.check(tool.path("r.html"))
        #expect(found.bytes < 5_000_000)
        let answers = try tool.run("runs", "answers").lines().count
        #expect(answers == 1 + 2 * 144, "\(answers)")
    }
}
