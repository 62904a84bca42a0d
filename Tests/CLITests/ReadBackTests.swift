import Foundation
import TestSupport
import Testing

/// Exports are read back with the libraries that people use; `Tests/readback.py` does it with those of `scripts/setup --test`.
@Suite struct ReadBackTests {
    private static let repository = BundledModelTests.repository
    private static let circle = "When does the circle appear?"

    static func read(_ format: String, _ file: String, _ rate: String? = nil) throws -> [[String: Any]] {
        let python = repository + "/.build/test-python/bin/python"
        try #require(FileManager.default.fileExists(atPath: python), "scripts/setup --test installs \(python)")
        let data = try RealTool.run(
            python, [repository + "/Tests/readback.py", format, file] + (rate.map { [$0] } ?? []))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
    }

    /// The chapters that a player gets of a file, by ffmpeg: start and end in seconds, title.
    static func chapters(
        _ metadata: String, of video: String, to target: String
    ) throws -> [(start: Double, end: Double, title: String)] {
        try RealTool.ffmpeg(["-i", video, "-i", metadata, "-map", "0", "-map_metadata", "1", "-c", "copy", target])
        let text = try RealTool.ffprobe(["-show_chapters", "-of", "json", target])
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return (object?["chapters"] as? [[String: Any]] ?? []).map { chapter in
            func time(_ key: String) -> Double { (chapter[key] as? String).flatMap(Double.init) ?? -1 }
            return (time("start_time"), time("end_time"), (chapter["tags"] as? [String: String])?["title"] ?? "")
        }
    }

    private static func save(_ data: Data, _ tool: Tool, _ name: String) throws -> String {
        try data.write(to: URL(filePath: tool.path(name)))
        return tool.path(name)
    }

    /// Video that begins 25 s after the sound: every output has the time that a player shows. What the circle's answer was read
    /// from is 29 s after the first picture.
    @Test(arguments: ["mp4", "mkv", "ts"])
    func `times are the player's where the picture comes late`(container: String) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let late = tool.path("late." + container)
        try RealTool.ffmpeg([
            "-itsoffset", "25", "-i", BundledModelTests.folder + "test-1001730.mkv", "-f", "lavfi", "-i",
            "sine=220:r=48000:d=60", "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", late,
        ])
        // What ffprobe says of the first picture and of the file's start.
        func first(_ entries: [String]) throws -> Double {
            let text = try RealTool.ffprobe(entries + ["-of", "csv=p=0", late])
            return try #require(text.split { !$0.isNumber && $0 != "." }.compactMap { Double($0) }.first)
        }
        let picture = ["-select_streams", "v", "-read_intervals", "%+#1", "-show_entries", "packet=pts_time"]
        let start = try first(picture) - first(["-show_entries", "format=start_time"])
        #expect(abs(start - 25) < 0.1, "\(start)")
        let model = ["--model", Self.repository + "/Models/nano"]
        func close(_ value: Any?, _ wanted: Double) -> Bool {
            (value as? Double).map { abs($0 - wanted) < 0.002 } ?? false
        }
        func closeText(_ value: Any?, _ wanted: Double) -> Bool {
            close((value as? String).flatMap(Double.init), wanted)
        }

        let asked = ["ask", late, Self.circle, "--evidence", "1", "--thumbnails", tool.path("seen")] + model
        let answer = try tool.run(asked + ["--json"]).object()
        let evidence = try #require((answer["evidence"] as? [[String: Any]])?.first)
        #expect(close(evidence["start"], start + 29) && close(evidence["end"], start + 30), "\(evidence)")
        #expect(close(evidence["start_from_first_frame"], 29) && close(evidence["end_from_first_frame"], 30))
        let range = try #require(answer["range"] as? [Double])
        #expect(close(range.first, start) && close(range.last, start + 39), "\(range)")
        #expect(answer["range_from_first_frame"] as? [Double] == [0, 39])
        let thumbnail = try #require((answer["thumbnails"] as? [String])?.first)
        #expect(thumbnail.hasSuffix("1-00-00-54.png"), "\(thumbnail)")
        #expect(try tool.run(asked).text.contains("seen at 00:00:54–00:00:55"))

        // Ranges are the player's too: the circle is not in [25, 50), and the evidence's frame alone is in [54, 55.5).
        let early = try tool.run(["ask", late, Self.circle, "--to", "25", "--json"] + model).object()
        #expect(early["answer"] as? String == "no frames in range")
        let one = try tool.run(
            ["ask", late, Self.circle, "--from", "\(start + 28.5)", "--to", "\(start + 29.5)", "--json"] + model
        ).object()
        #expect(one["range_from_first_frame"] as? [Double] == [29, 29])
        let windows = try tool.run(["ask", late, "How many?", "--segments", "20", "--json"] + model).lines()
        #expect(windows.map { ($0["segment"] as? [Double])?.first } == [20, 40, 60])
        #expect(windows.compactMap { $0["frames"] as? Int }.reduce(0, +) == 40)

        let moment = ["search", "a green circle", "--limit", "1", "--from", "50"] + model
        let found = try #require((try tool.run(moment + ["--json"]).object()["moments"] as? [[String: Any]])?.first)
        for key in ["start", "end", "best"] {
            let first = try #require(found[key + "_from_first_frame"] as? Double)
            #expect(close(found[key], start + first), "\(found)")
        }
        #expect(try #require(found["best"] as? Double) >= 50)

        let summary = try #require(try tool.run("show", late, "--json").list().first)
        #expect(close(summary["start"], start))

        // Every export, by what people read it with.
        func export(_ format: String, _ options: [String] = []) throws -> String {
            let result = try tool.run(
                ["export", late, "--answers", "-", "--format", format] + options,
                input: JSONSerialization.data(withJSONObject: answer))
            try #require(result.status == 0, "\(result.errors)")
            return try Self.save(result.output, tool, "out." + format)
        }
        let cue = try #require(try Self.read("vtt", export("vtt")).first)
        #expect((cue["times"] as? String)?.hasPrefix("00:00:54.0") == true, "\(cue)")
        #expect(cue["text"] as? String == Self.circle + "\nat the end")
        let title = try #require(try Self.read("srt", export("srt")).first)
        #expect(close(title["start"], start + 29) && close(title["end"], start + 30), "\(title)")
        let row = try #require(try Self.read("csv", export("csv")).first)
        #expect(closeText(row["start"], start + 29) && closeText(row["start_from_first_frame"], 29), "\(row)")
        let marker = try #require(try Self.read("otio", export("otio", ["--rate", "1000"])).first)
        #expect(close(marker["start"], start + 29) && close(marker["end"], start + 30), "\(marker)")
        let event = try #require(try Self.read("edl", export("edl"), "25").first)
        #expect((event["timecode"] as? String)?.hasPrefix("01:00:54:0") == true, "\(event)")
        let chapter = try #require(
            try Self.chapters(
                export("chapters"), of: BundledModelTests.folder + "test-1003600.mp4", to: tool.path("c.mkv")
            )
            .first)
        #expect(close(chapter.start, start + 29) && close(chapter.end, start + 30), "\(chapter)")
    }

    /// Two questions about each of twelve hours, as every format, through every reader; texts that formats give a meaning to.
    @Test func `answers of several questions are read back whole`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let id = try #require(
            try tool.run("index", video, "--quiet").text.split(separator: "\n").first.map(String.init))
        let odd = "a --> b, \"c\"; =d <i>&\r\n\r\n42\u{0}\u{1B}[31m|M:x"
        let answers: [[String: Any]] = (0..<12).flatMap { hour in
            ["Is it open?", "Who = there; #1?"].map { question in
                [
                    "recording": id, "question": question, "answer": odd + " \(hour)", "model": "m", "found": true,
                    "segment": [hour * 3600, (hour + 1) * 3600], "created": "2026-01-01T00:00:00Z",
                ]
            }
        }
        let input = try JSONSerialization.data(withJSONObject: answers)
        func export(_ format: String, _ options: [String] = []) throws -> String {
            let result = try tool.run(
                ["export", id, "--answers", "-", "--format", format] + options, input: input)
            try #require(result.status == 0, "\(result.errors)")
            return try Self.save(result.output, tool, "out." + format)
        }
        let hours: [Double] = (0..<24).map { Double($0 / 2 * 3600) }
        for format in ["vtt", "srt", "otio"] {
            let found = try Self.read(format, export(format))
            #expect(found.count == 24, "\(format): \(found.count)")
            let starts = found.compactMap { $0["start"] as? Double }
            #expect(starts == hours, "\(format)")
            for one in found {
                let text = one["text"] as? String ?? ""
                #expect(text.contains("a "), "\(format) \(one)")
            }
        }
        let rows = try Self.read("csv", export("csv"))
        let cells = rows.compactMap { $0["answer"] as? String }
        #expect(cells.count == 24)
        for cell in cells { #expect(cell.hasPrefix("a --> b, \"c\""), "\(cell)") }
        for (rate, hour) in [
            ("25", "02:00:00:00"), ("23.976", "01:59:56:10"), ("30000/1001", "02:00:00;00"), ("59.94", "02:00:00;00"),
            ("24", "02:00:00:00"),
        ] {
            let exact = ["23.976": "24000/1001", "59.94": "60000/1001"][rate] ?? rate
            let events = try Self.read("edl", export("edl", ["--rate", rate]), exact)
            #expect(events.count == 12, "\(rate)")
            let codes = events.compactMap { $0["timecode"] as? String }
            let first = hour.contains(";") ? "01:00:00;00" : "01:00:00:00"
            #expect(Array(codes.prefix(2)) == [first, hour], "\(rate)")
        }
        let found = try Self.chapters(export("chapters"), of: video, to: tool.path("c.mkv"))
        #expect(found.count == 12)
        for (place, chapter) in found.enumerated() {
            #expect(chapter.start == Double(place) * 3600)
            #expect(chapter.end == Double(place + 1) * 3600)
            #expect(chapter.title.hasPrefix("Is it open? a --> b"))
            #expect(chapter.title.contains(" / Who = there; #1? "))
        }
        // Subtitles in a file, as players take them.
        for format in ["srt", "vtt"] {
            try RealTool.ffmpeg([
                "-i", video, "-i", export(format), "-map", "0", "-map", "1", "-c", "copy", tool.path("\(format).mkv"),
            ])
            let packets = try RealTool.ffprobe([
                "-select_streams", "s", "-show_entries", "packet=pts_time", "-of", "csv=p=0",
                tool.path("\(format).mkv"),
            ]).split(separator: "\n").compactMap { Double($0.split(separator: ",")[0]) }
            #expect(packets == hours, "\(format)")
        }
    }
}
