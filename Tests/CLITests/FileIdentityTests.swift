import Foundation
import Glibc
import Testing

/// Which file is which: by bytes of its path, by its change time, and by what is under its path now.
@Suite struct FileIdentityTests {
    /// A short recording of one color, padded to a fixed size.
    private static func video(_ color: String, _ path: String, seconds: Int = 2, size: Int = 40_000) throws {
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "color=\(color):size=64x48:rate=5:duration=\(seconds)", "-c:v", "libx264", "-preset",
            "ultrafast", "-f", "matroska", path)
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        let length = Int(try handle.seekToEnd())
        // An EBML void of two bytes, over and over, at the file's end.
        try handle.write(contentsOf: Data((0..<max(0, size - length) / 2).flatMap { _ in [UInt8(0xEC), 0x80] }))
        if (size - length) % 2 == 1 { try handle.write(contentsOf: Data([0])) }
        try handle.close()
    }

    /// With the bundled model, which can be searched.
    private func searchable() throws -> Tool {
        var tool = try Tool(model: false)
        tool.environment["LONGTAKE_MODEL"] = SearchCommandTests.model
        return tool
    }

    private func index(_ tool: Tool, _ path: String) throws -> [String: Any] {
        let result = try tool.run("index", path, "--prefix-cache", "never", "--json")
        #expect(result.status == 0, "\(result.errors)")
        return try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
    }

    /// Waits until a file's change time is old enough to prove something.
    private func settle() { Thread.sleep(forTimeInterval: 2.2) }

    @Test func `a file with another content under old times is indexed again`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let (path, other) = (tool.path("a.mkv"), tool.path("b.mkv"))
        try Self.video("red", path)
        try Self.video("blue", other)
        #expect(try Data(contentsOf: URL(filePath: path)).count == Data(contentsOf: URL(filePath: other)).count)
        var before = stat()
        try #require(stat(path, &before) == 0)
        settle()
        let first = try index(tool, path)
        #expect(try index(tool, path)["action"] as? String == "unchanged")
        // The same inode, size and time.
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.write(contentsOf: Data(contentsOf: URL(filePath: other)))
        try handle.close()
        let times = [before.st_atim, before.st_mtim]
        try #require(utimensat(AT_FDCWD, path, times, 0) == 0)
        var after = stat()
        try #require(stat(path, &after) == 0)
        try #require(after.st_ino == before.st_ino && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
        #expect(try tool.run("ls", "--json").list().first?["file"] as? String == "changed")
        let again = try index(tool, path)
        #expect(again["action"] as? String == "new" && again["id"] as? String != first["id"] as? String)
        let answer = try tool.run("ask", path, "What is it?", "--json", "--max-tokens", "1").object()
        #expect((answer["recording"] as? [String: Any])?["id"] as? String == again["id"] as? String)
    }

    @Test func `a new mode makes no new index, and the file is known again`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let path = tool.path("a.mkv")
        try Self.video("red", path)
        settle()
        _ = try index(tool, path)
        func state() throws -> String? { try tool.run("ls", "--json").list().first?["file"] as? String }
        let touches: [(String) throws -> Void] = [
            { try #require(chmod($0, 0o600) == 0) },
            { try #require(link($0, $0 + ".link") == 0) },
            {
                try FileManager.default.moveItem(atPath: $0, toPath: $0 + ".elsewhere")
                try FileManager.default.moveItem(atPath: $0 + ".elsewhere", toPath: $0)
            },
            // A copy with the old time in its place: another inode.
            { try Fixtures.execute("/bin/sh", ["-c", "cp -p \"$0\" \"$0.copy\" && mv \"$0.copy\" \"$0\"", $0]) },
        ]
        for touch in touches {
            try touch(path)
            #expect(try state() == "present")
            #expect(try tool.run("show", path, "--json").list().first?["file"] as? String == "present")
        }
        settle()
        #expect(try index(tool, path)["action"] as? String == "unchanged")
        #expect(try state() == "present")
        #expect(try index(tool, path)["action"] as? String == "unchanged")
    }

    @Test func `a large file that was touched is told as such, not read by a list`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let path = tool.path("a.mkv")
        try Self.video("red", path)
        // An EBML void up to the end, which takes no room on the disk.
        let (length, void) = (65 << 20, try Data(contentsOf: URL(filePath: path)).count)
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        try handle.seekToEnd()
        let size = UInt64(length - void - 9) | 0x0100_0000_0000_0000
        try handle.write(contentsOf: Data([0xEC] + (0..<8).map { UInt8(truncatingIfNeeded: size >> (56 - 8 * $0)) }))
        try handle.truncate(atOffset: UInt64(length))
        try handle.close()
        settle()
        _ = try index(tool, path)
        func state() throws -> String? { try tool.run("ls", "--json").list().first?["file"] as? String }
        #expect(try state() == "present")
        try #require(chmod(path, 0o600) == 0)
        #expect(try state() == "touched")
        #expect(try tool.run("rm", "--missing", "--yes", "-q").text.isEmpty)
        #expect(try index(tool, path)["action"] as? String == "unchanged")
        #expect(try state() == "present")
    }

    @Test func `two names that look alike are two files`() throws {
        let tool = try searchable()
        defer { tool.remove() }
        let (composed, decomposed) = (tool.path("Caf\u{E9}.mkv"), tool.path("Cafe\u{301}.mkv"))
        try Self.video("red", composed)
        try Self.video("blue", decomposed)
        let ids = try [composed, decomposed].map { try #require(try index(tool, $0)["id"] as? String) }
        #expect(ids[0] != ids[1])
        for (path, id) in zip([composed, decomposed], ids) {
            #expect(try tool.run("show", path, "--json").list().map { $0["id"] as? String } == [id])
        }
        let found = try tool.run("search", "a thing", composed, "--json").object()
        #expect(found["recordings"] as? Int == 1)
        #expect(try tool.run("rm", decomposed, "--yes", "-q").text == ids[1] + "\n")
        #expect(try tool.run("ls", "-q").text == ids[0] + "\n")
        #expect(try tool.run("show", decomposed).status != 0)
    }

    @Test func `a file that moved is known by its new path`() throws {
        let tool = try searchable()
        defer { tool.remove() }
        let (old, new) = (tool.path("a.mkv"), tool.path("b.mkv"))
        try Self.video("red", old)
        let made = try index(tool, old)
        try FileManager.default.moveItem(atPath: old, toPath: new)
        #expect(try index(tool, new)["action"] as? String == "unchanged")
        let listed = try tool.run("ls", "--json").list()
        #expect(listed.map { $0["path"] as? String } == [new] && listed[0]["name"] as? String == "b.mkv")
        #expect(listed[0]["file"] as? String == "present")
        let sheet = try tool.run("show", new, "--contact-sheet", tool.path("s.png"))
        #expect(sheet.status == 0 && sheet.errors.contains("wrote"), "\(sheet.errors)")
        #expect(sheet.text.contains("b.mkv") && !sheet.text.contains("a.mkv"))
        let found = try tool.run("search", "a thing", "--thumbnails", tool.path("t"), "--json").object()
        let moment = try #require((found["moments"] as? [[String: Any]])?.first)
        #expect((moment["recording"] as? [String: Any])?["path"] as? String == new)
        #expect(moment["thumbnail"] is String, "\(found["notes"] ?? "")")
        let id = try #require(made["id"] as? String)
        let answer = try tool.run("ask", id, "What is it?", "--json", "--max-tokens", "1").object()
        #expect((answer["recording"] as? [String: Any])?["path"] as? String == new)
        let otio = try tool.run("export", new, "--format", "otio")
        #expect(otio.status == 0 && otio.text.contains("b.mkv") && !otio.text.contains("a.mkv"), "\(otio.errors)")
        // Two copies are two paths of one recording.
        try FileManager.default.copyItem(atPath: new, toPath: old)
        _ = try index(tool, old)
        #expect(try tool.run("ls", "--json").list().map { $0["path"] as? String } == [old, new])
        #expect(try tool.run("show", old, "--json").list().map { $0["path"] as? String } == [old])
    }

    @Test func `what was replaced says so, and what is missing can be removed`() throws {
        let tool = try searchable()
        defer { tool.remove() }
        let path = tool.path("g.mkv")
        try Self.video("red", path)
        let old = try #require(try index(tool, path)["id"] as? String)
        try Self.video("blue", path, seconds: 3)
        #expect(try tool.run("show", path, "--json").list().first?["file"] as? String == "changed")
        let new = try #require(try index(tool, path)["id"] as? String)
        let shown = try tool.run("show", path, "--json").list()
        #expect(shown.map { $0["id"] as? String } == [new, old])
        #expect(shown.map { $0["file"] as? String } == ["present", "replaced"])
        let found = try tool.run("search", "a thing", path, "--json").object()
        let moments = try #require(found["moments"] as? [[String: Any]])
        #expect(moments.allSatisfy { ($0["recording"] as? [String: Any])?["id"] as? String == new })
        #expect(try tool.run("search", "a thing").text.contains("(file replaced)"))
        #expect(try tool.run("rm", "--missing", "--dry-run", "-q").text == old + "\n")
        #expect(try tool.run("rm", "--missing").status == 64)
        try FileManager.default.removeItem(atPath: path)
        #expect(try Set(tool.run("ls", "--json").list().compactMap { $0["file"] as? String }) == ["gone", "replaced"])
        #expect(try tool.run("rm", "--missing", "--yes").status == 0)
        #expect(try tool.run("ls", "-q").text.isEmpty)
    }

    @Test(.enabled(if: SmallDisk.isPossible, "a tmpfs cannot be mounted here"))
    func `a disk that is not mounted is no reason to remove`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let disk = try SmallDisk(size: "4m")
        defer { disk.remove() }
        let folder = disk.path
        try FileManager.default.createDirectory(atPath: folder + "/cam", withIntermediateDirectories: true)
        try Self.video("red", folder + "/cam/a.mkv")
        let id = try #require(try index(tool, folder + "/cam/a.mkv")["id"] as? String)
        try #require(umount2(folder, 0) == 0)
        #expect(try tool.run("ls", "--json").list().first?["file"] as? String == "unreachable")
        let kept = try tool.run("rm", "--missing", "--yes")
        #expect(kept.status == 0 && kept.errors.contains("--unreachable"), "\(kept.errors)")
        #expect(try tool.run("ls", "-q").text == id + "\n")
        #expect(try tool.run("cache", "prune", "--missing-for", "0s", "--yes").status == 0)
        #expect(try tool.run("ls", "-q").text == id + "\n")
        #expect(try tool.run("rm", "--missing", "--unreachable", "--yes", "-q").text == id + "\n")
    }

    @Test func `files of one name differ, and a name for both is refused`() throws {
        let tool = try searchable()
        defer { tool.remove() }
        for (camera, color) in [("cam1", "red"), ("cam2", "blue")] {
            let folder = tool.path("day/" + camera)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Self.video(color, folder + "/12.mkv")
        }
        let run = try tool.run("index", "day", "--prefix-cache", "never")
        #expect(run.status == 0, "\(run.errors)")
        for command in [["ls"], ["search", "a thing", "--threshold", "-1"]] {
            let text = try tool.run(command).text
            #expect(text.contains("cam1/12.mkv") && text.contains("cam2/12.mkv"), "\(command): \(text)")
        }
        let refused = try tool.run("show", "12.mkv")
        #expect(refused.status == 64 || refused.status == 14, "\(refused.status)")
        #expect(refused.errors.contains("cam1/12.mkv") && refused.errors.contains("cam2/12.mkv"), "\(refused.errors)")
        #expect(try tool.run("rm", "12.mkv", "--yes").status != 0)
        #expect(try tool.run("show", "cam1/12.mkv", "-q").status == 0)
        #expect(try tool.run("ls", "-q").text.split(separator: "\n").count == 2)
    }
}
