import Foundation
import Glibc
import Testing

@Suite struct IndexCommandTests {
    @Test func `JSON lines tell each file and a summary`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.createDirectory(atPath: tool.path("in/deep"), withIntermediateDirectories: true)
        let video = try Fixtures.video.get()
        try FileManager.default.copyItem(atPath: video, toPath: tool.path("in/deep/a.mp4"))
        try Fixtures.cut(video, to: tool.path("in/cut.mp4"), part: 0.6)
        try Data("no video".utf8).write(to: URL(filePath: tool.path("in/text.mkv")))
        try Data("not looked at".utf8).write(to: URL(filePath: tool.path("in/readme.txt")))
        let result = try tool.run("index", tool.path("in"), "--json")
        #expect(result.status == 3)
        let lines = try result.lines()
        let done = lines.filter { $0["message_type"] as? String == "verbose_status" }
        #expect(done.count == 2)
        #expect(Set(done.compactMap { $0["state"] as? String }) == ["complete", "partial"])
        #expect(lines.contains { $0["message_type"] as? String == "plan" })
        let summary = try #require(lines.last)
        #expect(summary["message_type"] as? String == "summary")
        #expect(summary["files_new"] as? Int == 2)
        #expect(summary["files_partial"] as? Int == 1)
        #expect(summary["files_failed"] as? Int == 1)
        let error = try #require(
            try result.errors.split(separator: "\n").map {
                try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
            }.first ?? nil)
        #expect(error["message_type"] as? String == "error")
        #expect((error["item"] as? String)?.hasSuffix("text.mkv") == true)

        let again = try tool.run("index", tool.path("in"), "--json").lines()
        #expect(again.last?["files_unmodified"] as? Int == 2)
        #expect(again.last?["files_new"] as? Int == 0)
    }

    @Test func `a dry run says what would be done and does nothing`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("index", Fixtures.video.get(), "--dry-run", "--json", "--fps", "2")
        #expect(result.status == 0)
        let plan = try #require(try result.lines().first)
        #expect(plan["frames"] as? Int == 24)
        let each = try #require(plan["bytes_per_frame"] as? Int)
        #expect(plan["bytes"] as? Int == 24 * each)
        #expect(plan["estimated_seconds"] as? Double ?? 0 > 0)
        #expect(try tool.run("ls", "--json").list().isEmpty)
        #expect(try tool.run("index", Fixtures.video.get(), "--dry-run").text.contains("12 frames"))
    }

    @Test func `from a pipe the content is the identity`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let piped = try tool.run("index", "-", "--quiet", input: Data(contentsOf: URL(filePath: video)))
        #expect(piped.status == 0, "\(piped.errors)")
        let named = try tool.run("index", video, "--json").lines()
        #expect(named.first { $0["message_type"] as? String == "verbose_status" }?["action"] as? String == "unchanged")
        #expect(piped.text == (named.compactMap { $0["id"] as? String }.first ?? "") + "\n")
        #expect(try tool.run("index", "-", input: Data()).status == 14)
    }

    @Test func `folders are walked without following links`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let files = FileManager.default
        try files.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        try files.createDirectory(atPath: tool.path("outside"), withIntermediateDirectories: true)
        try files.copyItem(atPath: Fixtures.video.get(), toPath: tool.path("outside/a.mp4"))
        try files.createSymbolicLink(atPath: tool.path("in/loop"), withDestinationPath: tool.path("in"))
        try files.createSymbolicLink(atPath: tool.path("in/away.mp4"), withDestinationPath: tool.path("outside/a.mp4"))
        try files.createSymbolicLink(atPath: tool.path("in/self.mp4"), withDestinationPath: tool.path("in/self.mp4"))
        let walked = try tool.run("index", tool.path("in"), "--json")
        #expect(walked.status == 0)
        #expect(try walked.lines().last?["files_new"] as? Int == 0)
        // Named by the user, a link is followed; a loop is that item's error.
        let named = try tool.run("index", tool.path("in/away.mp4"), tool.path("in/self.mp4"), "--json")
        #expect(named.status == 3)
        #expect(try named.lines().last?["files_new"] as? Int == 1)
        #expect(named.errors.contains("cannot_read"))
    }

    @Test func `names are bytes`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let folder = Array(tool.path("in").utf8)
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        let names: [[UInt8]] = [
            Array("e\u{301}.mp4".utf8), Array("\u{e9}.mp4".utf8), [0xFF, 0xFE] + Array("bad.mp4".utf8),
            Array("line\nbreak.mp4".utf8), Array("-leading.mp4".utf8), Array("📹.mp4".utf8),
            Array("\u{202E}4pm.exe.mp4".utf8), Array("\u{1B}[31mred.mp4".utf8), Array("%03d.mp4".utf8),
            Array(String(repeating: "n", count: 251).utf8) + Array(".mp4".utf8),
        ]
        for (number, name) in names.enumerated() {
            let path = tool.path("made-\(number).mkv")
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=size=64x\(48 + 2 * number):rate=5:duration=1", "-c:v", "mpeg4", path)
            let target = (folder + [UInt8(ascii: "/")] + name + [0]).map { CChar(bitPattern: $0) }
            try #require(rename(path, target) == 0)
        }
        let result = try tool.run("index", tool.path("in"))
        #expect(result.status == 0, "\(result.errors)")
        #expect(!result.text.contains("\u{1B}") && !result.errors.contains("\u{1B}"))
        #expect(!result.text.contains("\u{202E}"))
        let listed = try tool.run("ls", "--json").list()
        #expect(listed.count == names.count)
        let encoded = listed.compactMap { $0["path_b64"] as? String }.compactMap { Data(base64Encoded: $0) }
        #expect(encoded.map { [UInt8]($0) } == [folder + [UInt8(ascii: "/")] + names[2]])
        let table = try tool.run("ls").text
        #expect(table.split(separator: "\n").count == names.count + 1, "one line each")
        #expect(!table.contains("\u{1B}"))
        #expect(try tool.run("ask", "in/-leading.mp4", "What?", "--max-tokens", "1").status == 0)
    }

    @Test func `a moved copy is one index with two places`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        try FileManager.default.copyItem(atPath: video, toPath: tool.path("copy.mp4"))
        let lines = try tool.run("index", video, tool.path("copy.mp4"), "--json").lines()
        let actions = lines.compactMap { $0["action"] as? String }
        #expect(actions == ["new", "unchanged"])
        let listed = try tool.run("ls", "--json").list()
        #expect(listed.count == 2 && Set(listed.compactMap { $0["index"] as? String }).count == 1)
        #expect(listed.map { $0["file"] as? String } == ["present", "present"])
    }

    @Test func `a file that changed just now waits for the next run`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.copyItem(atPath: Fixtures.video.get(), toPath: tool.path("new.mp4"))
        try FileManager.default.setAttributes([.modificationDate: Date()], ofItemAtPath: tool.path("new.mp4"))
        let result = try tool.run("index", tool.path("new.mp4"), "--min-age", "1h", "--json")
        #expect(result.status == 0)
        let lines = try result.lines()
        #expect(lines.last?["files_skipped"] as? Int == 1)
        #expect(lines.contains { $0["state"] as? String == "still_growing" })
        // A clock that was wrong makes no age negative.
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: 86_400)], ofItemAtPath: tool.path("new.mp4"))
        #expect(
            try tool.run("index", tool.path("new.mp4"), "--min-age", "1h", "--json").lines().last?["files_new"] as? Int
                == 1)
    }

    @Test func `limits end a recording early and say so`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("index", Fixtures.video.get(), "--max-duration", "5", "--json")
        #expect(result.status == 3)
        let done = try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
        #expect(done["frames"] as? Int == 5)
        #expect((done["warnings"] as? [String])?.contains { $0.contains("max_duration") } == true)
        let frames = try tool.run("index", Fixtures.video.get(), "--max-frames", "3", "--json")
        #expect(frames.status == 3)
    }

    @Test func `Ctrl-C keeps what is sealed, and the next run ends with the same tokens`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = tool.path("long.mkv")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=2:duration=1500", "-c:v", "mpeg4", "-g", "20", video)
        let (process, output, errors) = try tool.start(["index", video, "--json"])
        // The first status line says that frames are coming.
        var seen = Data()
        while !seen.split(separator: UInt8(ascii: "\n")).contains(where: {
            String(decoding: $0, as: UTF8.self).contains("\"status\"")
        }) {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { break }
            seen.append(more)
        }
        kill(process.processIdentifier, SIGINT)
        _ = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        // On a machine fast enough to be through by now there is nothing to interrupt.
        if process.terminationStatus != 0 {
            #expect(process.terminationStatus == 130)
            #expect(said.contains("\"code\":130"), "\(said)")
        }
        let second = try tool.run("index", video, "--json").lines()
        let action = second.compactMap { $0["action"] as? String }.first
        #expect(["new", "resumed", "unchanged"].contains(action))
        let resumed = try tool.run("ask", video, "What?", "--max-tokens", "8", "--json").object()
        #expect(resumed["frames"] as? Int == 1500)
        var fresh = try Tool()
        defer { fresh.remove() }
        fresh.environment["LONGTAKE_MODEL"] = tool.environment["LONGTAKE_MODEL"]
        let whole = try fresh.run("ask", video, "What?", "--max-tokens", "8", "--json").object()
        #expect(whole["token_ids"] as? [Int] == resumed["token_ids"] as? [Int])
    }
}
