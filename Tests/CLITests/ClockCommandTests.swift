import Foundation
import Testing

/// Times of day, cameras, and selections by them, as users see them.
@Suite struct ClockCommandTests {
    /// A tool in Berlin, with two recordings of the bundled model's world: one per camera, an hour apart.
    private func tool() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = SearchCommandTests.model
        tool.environment["TZ"] = "Europe/Berlin"
        for (recording, name) in zip(SearchCommandTests.recordings, ["front", "yard"]) {
            let folder = tool.path("cams/\(name)/2026-10-25")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let time = name == "front" ? "01-59-50" : "05-00-00"
            try FileManager.default.copyItem(
                atPath: recording, toPath: "\(folder)/\(time).\((recording as NSString).pathExtension)")
        }
        return tool
    }

    private static let pattern = "{camera}/%Y-%m-%d/%H-%M-%S"

    private func strings(_ value: Any?) -> [String] { value as? [String] ?? [] }

    @Test func `every output has the time of day and the camera`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let indexed = try tool.run("index", tool.path("cams"), "--clock", Self.pattern, "--json")
        #expect(indexed.status == 0, "\(indexed.errors)")
        let done = try #require(try indexed.lines().first { $0["message_type"] as? String == "verbose_status" })
        #expect(done["camera"] as? String == "front")
        let front = tool.path("cams/front/2026-10-25/01-59-50.mp4")

        let list = try tool.run("ls", "--json").list()
        #expect(list.map { $0["camera"] as? String } == ["front", "yard"])
        let clock = try #require(list[0]["clock"] as? [String: Any])
        #expect(clock["start"] as? String == "2026-10-25T01:59:50+02:00")
        // The clocks are set back in this recording; it lasts 30 s.
        #expect((clock["end"] as? String)?.hasPrefix("2026-10-25T02:00:") == true)
        #expect(clock["timezone"] as? String == "Europe/Berlin" && clock["timezone_source"] as? String == "system")
        #expect(clock["source"] as? String == "path" && clock["uncertainty"] as? Double == 1)
        let text = try tool.run("ls").text
        #expect(text.contains("STARTED") && text.contains("2026-10-25 01:59:50") && text.contains("CAMERA"))
        let shown = try tool.run("show", front).text
        #expect(
            shown.contains(
                "2026-10-25T01:59:50+02:00 (Europe/Berlin; path, by \(Self.pattern), within 1 s)"), "\(shown)")

        let asked = try tool.run("ask", front, "What is on the table?", "--json", "--evidence", "2")
        let answer = try asked.object()
        let range = strings(answer["range_clock"])
        #expect(range.count == 2 && range.first == "2026-10-25T01:59:50+02:00")
        let recording = try #require(answer["recording"] as? [String: Any])
        #expect(recording["camera"] as? String == "front" && recording["clock"] as? [String: Any] != nil)
        for one in answer["evidence"] as? [[String: Any]] ?? [] {
            #expect((one["start_clock"] as? String)?.hasPrefix("2026-10-25T0") == true)
        }
        let windows = try tool.run(
            "ask", front, "What is on the table?", "--segments", "10", "--format", "vtt")
        #expect(
            windows.text.contains(
                "NOTE 00:00:00.000 is 2026-10-25T01:59:50+02:00 (Europe/Berlin, path), camera front\n\n"))
        #expect(windows.text.contains("NOTE 2026-10-25T02:00:00+02:00 – 2026-10-25T02:00:10+02:00\n\n00:00:10.000 -->"))

        let csv = try tool.run("export", front, "--format", "csv").text
        #expect(csv.hasPrefix("recording,") && csv.contains("camera,start_clock,end_clock\r\n"))
        #expect(csv.contains(",front,2026-10-25T02:00:00+02:00,2026-10-25T02:00:10+02:00\r\n"), "\(csv)")
        let line = try #require(try tool.run("export", front, "--format", "jsonl").lines().first)
        #expect(line["camera"] as? String == "front" && line["clock"] as? [String: Any] != nil)
        #expect(
            try tool.run("export", front, "--format", "chapters").text.contains(
                "creation_time=2026-10-25T01:59:50+02:00\n"))

        let found = try tool.run("search", SearchCommandTests.text, "--json").object()
        let moment = try #require((found["moments"] as? [[String: Any]])?.first)
        #expect((moment["best_clock"] as? String)?.hasPrefix("2026-10-25T01:59:5") == true)
        #expect((moment["recording"] as? [String: Any])?["camera"] as? String == "front")
        let lines = try tool.run("search", SearchCommandTests.text).text
        #expect(lines.contains("  2026-10-25 01:59:5") && lines.contains("  camera front"), "\(lines)")
    }

    /// The start is no part of the index: it changes without decoding, and also where the catalog was lost.
    @Test func `the start changes without indexing again`() throws {
        var tool = try tool()
        defer { tool.remove() }
        let front = tool.path("cams/front/2026-10-25/01-59-50.mp4")
        try Fixtures.ffmpeg(
            "-i", front, "-c", "copy", "-metadata", "creation_time=2026-10-24T12:00:00Z", tool.path("a.mov"))
        let path = tool.path("a.mov")
        func clock() throws -> [String: Any] {
            try #require(try tool.run("show", path, "--json").list().first?["clock"] as? [String: Any])
        }
        func again(_ arguments: String...) throws {
            let result = try tool.run(["index", path, "--json"] + arguments)
            let done = try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
            #expect(done["action"] as? String == "unchanged", "\(result.text) \(result.errors)")
        }
        #expect(try tool.run("index", path).status == 0)
        #expect(try clock()["source"] as? String == "container")
        #expect(try clock()["start"] as? String == "2026-10-24T14:00:00+02:00")
        #expect(try clock()["uncertainty"] is NSNull)
        #expect(strings(try clock()["notes"]).joined().contains("some cameras write local time"))
        try again("--starts-at", "2026-10-25T02:30:00")
        #expect(try clock()["start"] as? String == "2026-10-25T02:30:00+02:00")
        #expect(strings(try clock()["notes"]).joined().contains("occurs twice"))
        try again("--starts-at", "2026-10-25T02:30:00+01:00", "--camera", "front")
        #expect(try clock()["start"] as? String == "2026-10-25T02:30:00+01:00")
        // What a person stated is kept when a nightly job comes with a pattern.
        tool.environment["LONGTAKE_CLOCK"] = "{camera}/*"
        tool.environment["LONGTAKE_TIMEZONE"] = "UTC"
        try again()
        #expect(try clock()["start"] as? String == "2026-10-25T01:30:00Z")
        #expect(try tool.run("show", path, "--json").list().first?["camera"] as? String == "front")
        try FileManager.default.removeItem(atPath: tool.path("data"))
        #expect(try clock()["start"] as? String == "2026-10-25T01:30:00Z")
        tool.environment["LONGTAKE_CLOCK"] = nil
        try again("--starts-at", "none", "--timezone", "Europe/Berlin")
        #expect(try clock()["source"] as? String == "container")
        let forced = try tool.run("index", path, "--force", "--starts-at", "2026-01-01T00:00:00Z", "--quiet")
        #expect(forced.status == 0)
        #expect(try tool.run("index", path, "--force", "--quiet").status == 0)
        #expect(try clock()["source"] as? String == "stated", "kept when the index is made again")
    }

    /// An index of an earlier version says nothing of this; it gets a start and a camera, and stays as it is.
    @Test func `an index of an earlier version`() throws {
        var tool = try tool()
        defer { tool.remove() }
        let kept = BundledModelTests.repository + "/Tests/Comparison/kept"
        try FileManager.default.copyItem(atPath: kept + "/cache", toPath: tool.path("cache"))
        try Fixtures.execute("/bin/chmod", ["-R", "go=", tool.path("cache")])
        try FileManager.default.copyItem(atPath: kept + "/kept.mp4", toPath: tool.path("kept.mp4"))
        func listed() throws -> [String: Any] {
            let list = try tool.run("ls", "--json").list()
            #expect(list.count == 1)
            return try #require(list.first)
        }
        let before = try listed()
        #expect(before["clock"] == nil && before["camera"] == nil && before["frames"] as? Int == 4)
        for arguments in [[], ["--starts-at", "2026-11-29T08:00:00Z", "--camera", "door"]] {
            let result = try tool.run(["index", tool.path("kept.mp4"), "--json"] + arguments)
            let done = try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
            #expect(done["action"] as? String == "unchanged", "\(result.text) \(result.errors)")
        }
        let after = try listed()
        #expect(after["camera"] as? String == "door" && after["index"] as? String == before["index"] as? String)
        #expect((after["clock"] as? [String: Any])?["start"] as? String == "2026-11-29T09:00:00+01:00")
        tool.environment["TZ"] = "Asia/Tokyo"
        #expect(
            (try listed()["clock"] as? [String: Any])?["start"] as? String == "2026-11-29T09:00:00+01:00",
            "the zone is kept")
    }

    /// Its times are in the future, as those of a file that was written less than 2 s before it was indexed could be.
    @Test func `an index of a file whose times prove nothing is selected`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let yard = tool.path("cams/yard/2026-10-25/05-00-00.webm")
        try Fixtures.execute("/usr/bin/touch", ["-d", "2037-01-01T00:00:00Z", yard])
        #expect(try tool.run("index", tool.path("cams"), "--clock", Self.pattern).status == 0)
        let asked = try tool.run("ask", yard, "What is on the table?", "--since", "2026-10-25T04:00", "--json")
        #expect(asked.status == 0, "\(asked.errors)")
        #expect(try asked.object()["found"] != nil)
        let two = try tool.run(
            "ask", tool.path("cams"), "What is on the table?", "--json", "--camera", "yard", "--since", "2026-10-25")
        let lines = try two.lines()
        #expect(lines.count == 2 && (lines[0]["recording"] as? [String: Any])?["camera"] as? String == "yard")
    }

    /// What was stated of a recording counts wherever its content is: neither the file nor its path says it.
    @Test(arguments: ["copied", "linked", "touched", "moved"])
    func `a file with indexed content is selected by what its index says`(how: String) throws {
        let tool = try tool()
        defer { tool.remove() }
        let files = FileManager.default
        var path = tool.path("cams/front/2026-10-25/01-59-50.mp4")
        let stated = ["--starts-at", "2026-11-29T08:00:00Z", "--camera", "door"]
        #expect(try tool.run(["index", path] + stated).status == 0)
        func ask(_ path: String, _ selection: String...) throws -> Tool.Result {
            try tool.run(["ask", path, "What is on the table?", "--json", "--max-tokens", "1"] + selection)
        }
        /// A folder with the file alone, of whose path nothing is known.
        func folder(_ name: String) throws -> String {
            guard how != "touched" else {
                try #require(chmod(path, name == "camera" ? 0o600 : 0o640) == 0)
                return (path as NSString).deletingLastPathComponent
            }
            try files.createDirectory(atPath: tool.path(name), withIntermediateDirectories: true)
            let new = tool.path(name + "/a.mp4")
            switch how {
            case "copied": try files.copyItem(atPath: path, toPath: new)
            case "linked": try files.linkItem(atPath: path, toPath: new)
            default:
                try files.moveItem(atPath: path, toPath: new)
                path = new
            }
            return tool.path(name)
        }
        let camera = try ask(folder("camera"), "--camera", "door")
        #expect(try camera.lines().count == 2, "one answer and the ranking: \(camera.errors)")
        let time = try ask(folder("time"), "--since", "2026-11-29T08:00:05Z")
        #expect(try time.lines().count == 2, "\(time.errors)")
        let name = try how == "touched" ? folder("alone") + "/01-59-50.mp4" : folder("alone") + "/a.mp4"
        let other = try ask(name, "--camera", "front")
        #expect(other.status == 64 && other.errors.contains("is not a recording of front"), "\(other.errors)")
        let one = try ask(name, "--camera", "door", "--since", "2026-11-29T08:00:05Z")
        #expect(one.status == 0, "\(one.errors)")
        #expect(try (one.object()["range"] as? [Double])?.first == 5)
    }

    @Test func `the path that decides of a recording's camera also decides whether it is selected`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let yard = tool.path("cams/yard/2026-10-25/05-00-00.webm")
        #expect(try tool.run("index", yard, "--clock", Self.pattern).status == 0)
        let folder = tool.path("cams/attic/2026-10-26")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: yard, toPath: folder + "/06-00-00.webm")
        func ask(_ camera: String) throws -> Tool.Result {
            try tool.run(
                "ask", folder + "/06-00-00.webm", "What is on the table?", "--clock", Self.pattern, "--camera", camera,
                "--json", "--max-tokens", "1")
        }
        #expect(try ask("attic").status == 64)
        let asked = try ask("yard")
        #expect(asked.status == 0, "\(asked.errors)")
        #expect(try (asked.object()["recording"] as? [String: Any])?["camera"] as? String == "yard")
    }

    @Test func `windows and cameras select`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let (front, yard) = (
            tool.path("cams/front/2026-10-25/01-59-50.mp4"), tool.path("cams/yard/2026-10-25/05-00-00.webm")
        )
        #expect(try tool.run("index", tool.path("cams"), "--clock", Self.pattern).status == 0)
        try FileManager.default.copyItem(atPath: try Fixtures.video.get(), toPath: tool.path("unknown.mp4"))
        #expect(try tool.run("index", tool.path("unknown.mp4")).status == 0)
        func cameras(_ arguments: String...) throws -> [String?] {
            try tool.run(["ls", "--json"] + arguments).list().map { $0["camera"] as? String }
        }
        #expect(try cameras("--camera", "yard") == ["yard"])
        #expect(try cameras("--camera", "yard", "--camera", "front").count == 2)
        #expect(try cameras("--since", "2026-10-25T04:00") == ["yard"])
        #expect(try cameras("--recorded-until", "2026-10-25T03:00:00+01:00") == ["front"])
        #expect(try cameras("--since", "2026-10-25", "--until", "2026-10-25").count == 2)
        #expect(try cameras("--since", "2026-10-26") == [])
        let note = try tool.run("ls", "--since", "2026-10-26").errors
        #expect(note.contains("1 recording was left out: it is not known when it started"))
        let wrong = try tool.run("ls", "--camera", "yrd")
        #expect(wrong.status == 64 && wrong.errors.contains("did you mean yard?"), "\(wrong.errors)")

        let part = try tool.run(
            "ask", front, "What is on the table?", "--json", "--since", "2026-10-25T01:59:55", "--until",
            "2026-10-25T02:00:00+02:00"
        ).object()
        #expect(part["range"] as? [Double] == [5, 9])
        let none = try tool.run("ask", front, "What is on the table?", "--json", "--since", "2026-10-26").object()
        #expect(none["found"] as? Bool == false && none["stop"] as? String == "no_frames_in_range")
        #expect(strings(none["notes"]).joined().contains("that is 2026-10-25 01:59:50–"))
        let unknown = try tool.run("ask", tool.path("unknown.mp4"), "What?", "--since", "2h")
        #expect(
            unknown.status == 64 && unknown.errors.contains("not known when this recording started")
                && unknown.errors.contains("--starts-at"), "\(unknown.errors)")
        #expect(try tool.run("ask", front, "What is it?", "--camera", "yard").status == 64)
        let all = try tool.run("ask", "What is on the table?", "--camera", "yard", "--json").lines()
        #expect(all.count == 2 && (all[0]["recording"] as? [String: Any])?["camera"] as? String == "yard")
        let some = try tool.run("ask", front, yard, "What is on the table?", "--since", "2026-10-25T04:00", "--json")
        #expect(try some.lines().count == 2, "one answer and the ranking")

        let search = try tool.run(
            "search", SearchCommandTests.text, "--json", "--since", "2026-10-25T01:59:55", "--until",
            "2026-10-25T01:59:58"
        ).object()
        #expect(search["recordings"] as? Int == 1 && search["frames"] as? Int == 3)
        #expect(strings(search["notes"]).contains { $0.contains("not known when it started") })

        let exported = try tool.run("export", "--camera", "front", "--format", "jsonl").lines()
        #expect(exported.count == 1, "the answer about nothing is not stored")
        #expect(
            try tool.run("export", "--recorded-since", "2026-10-25", "--format", "csv").text.split(separator: "\r\n")
                .count >= 3)
        #expect(try tool.run("export", front, "--format", "csv", "--recorded-since", "2026-10-26").status == 64)
        #expect(try tool.run("export", front, "--format", "csv", "--since", "1h").status == 0)
        #expect(try tool.run("export", front, "--format", "csv", "--answered-since", "1h").status == 0)
        #expect(try tool.run("export", "--format", "csv").status == 64)
    }

    @Test func `a pipeline has the keys`() throws {
        let tool = try tool()
        defer { tool.remove() }
        func pipeline(_ keys: String) throws -> Tool.Result {
            let text = """
                version: 1
                inputs: [cams]
                \(keys)
                questions: ["What is on the table?"]
                output: answers.jsonl
                """
            try text.write(toFile: tool.path("job.yaml"), atomically: true, encoding: .utf8)
            return try tool.run("run", tool.path("job.yaml"), "--json")
        }
        let result = try pipeline(
            """
            clock: "{camera}/%Y-%m-%d/%H-%M-%S"
            timezone: America/New_York
            camera: [yard]
            since: 2026-10-25T05:00:10
            """)
        #expect(result.status == 0, "\(result.errors)")
        let answers = try Data(contentsOf: URL(filePath: tool.path("answers.jsonl"))).split(separator: 0x0A).map {
            try #require(try JSONSerialization.jsonObject(with: $0) as? [String: Any])
        }
        #expect(answers.count == 1)
        #expect(strings(answers.first?["range_clock"]).first == "2026-10-25T05:00:10-04:00")
        for (keys, problem) in [
            ("clock: \"%Q\"", "unknown field %Q at character 1"),
            ("timezone: Berlin", ":3: `timezone`: unknown time zone"), ("since: soon", ":3: `since`: invalid time"),
            ("camera: {a: b}", ":3: `camera` must be"), ("camra: x", "did you mean `camera`?"),
            ("since: 1h\nuntil: 2h", "swap them"),
        ] {
            let bad = try pipeline(keys)
            #expect(bad.status == 64 && bad.errors.contains(problem), "\(bad.errors)")
        }
    }

    @Test func `options that state nonsense are refused`() throws {
        let tool = try tool()
        defer { tool.remove() }
        let path = tool.path("cams/front/2026-10-25/01-59-50.mp4")
        for (arguments, problem) in [
            (["index", path, "--starts-at", "noon"], "--starts-at: invalid start"),
            (["index", tool.path("cams"), "--starts-at", "2026-10-25T05:00:00"], "--starts-at takes one recording"),
            (["index", path, "--clock", "%Y"], "--clock: invalid clock pattern \"%Y\": a date needs"),
            (["index", path, "--timezone", "Europe/Berlim"], "did you mean Europe/Berlin?"),
            (["index", path, "--camera", String(repeating: "x", count: 300)], "--camera: the camera's name has 300"),
            (["ls", "--since", "soon"], "invalid time \"soon\" (since)"),
            (["ls", "--since", "1h", "--until", "2h"], "swap them"),
        ] {
            let result = try tool.run(arguments)
            #expect(result.status == 64 && result.errors.contains(problem), "\(arguments) \(result.errors)")
        }
    }
}
