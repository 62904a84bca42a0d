import Foundation
import Glibc
import Testing

/// Disks of 64 MB that are full, or fill up while something is written.
@Suite(.enabled(if: SmallDisk.isPossible, "a tmpfs cannot be mounted here")) struct DiskFullTests {
    /// The cache on a small disk.
    private func tool(_ disk: SmallDisk) throws -> Tool {
        var tool = try Tool()
        tool.environment["LONGTAKE_CACHE_DIR"] = disk.path + "/cache"
        return tool
    }

    private func index(_ tool: Tool, _ arguments: String...) throws -> [String: Any] {
        let result = try tool.run(["index", Fixtures.video.get(), "--json"] + arguments)
        #expect(result.status == 0, "\(result.errors)")
        return try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
    }

    @Test func `what does not fit is refused before it begins`() throws {
        let disk = try SmallDisk(size: "64m")
        defer { disk.remove() }
        let tool = try tool(disk)
        defer { tool.remove() }
        _ = try index(tool, "--fps", "2", "--prefix-cache", "never")
        let before = tool.files(below: disk.path + "/cache")
        try disk.fill(leaving: 1 << 20)
        let plan = try #require(
            try tool.run("index", Fixtures.video.get(), "--fps", "60", "--dry-run", "--json").lines().first)
        let (planned, free) = (try #require(plan["bytes"] as? Int), try #require(plan["free_bytes"] as? Int))
        #expect(planned > free && free == disk.free)
        let refused = try tool.run("index", Fixtures.video.get(), "--fps", "60", "--json")
        #expect(refused.status == 13)
        let error = try refused.exitError()
        #expect(error["error"] as? String == "not_enough_disk")
        let message = try #require(error["message"] as? String)
        let numbers = message.split(separator: " ").compactMap { Int($0) }
        // The catalog lies on the same disk: looking into it takes some pages of it.
        #expect(message.contains("720 frames") && message.contains(" free"), "\(message)")
        #expect(numbers.contains { abs($0 - free) < 200_000 }, "\(message)")
        let needed = try #require(numbers.first)
        #expect(needed >= planned && needed < planned + 100_000)
        #expect(
            tool.files(below: disk.path + "/cache").filter { !$0.contains("/.") && $0.contains(".") }
                == before
                .filter { !$0.contains("/.") && $0.contains(".") })
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
        disk.empty()
        #expect(try index(tool, "--fps", "60")["action"] as? String == "new")
    }

    @Test func `a disk that fills up costs the open segment and nothing else`() throws {
        let disk = try SmallDisk(size: "64m")
        defer { disk.remove() }
        let tool = try tool(disk)
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let early = try #require(try index(tool, "--fps", "2")["index"] as? String)
        let answer = try tool.tokens("ask", early, "What is it?")
        let reference = try Tool()
        defer { reference.remove() }
        let whole = try #require(try index(reference, "--fps", "240")["index"] as? String)
        let wanted = try indexFiles(reference.path("cache/indexes/" + whole))

        let (process, output, errors) = try tool.start(["index", video, "--fps", "240", "--json"])
        let first = disk.path + "/cache/indexes/\(whole)/000000.seg"
        while process.isRunning, access(first, F_OK) != 0 { usleep(500) }
        try disk.fill()
        let ended = try Tool.result(of: process, output, errors)
        #expect(ended.status == 13, "\(ended.text)")
        let error = try ended.exitError()
        #expect(error["error"] as? String == "no_space", "\(error)")
        #expect((error["message"] as? String)?.contains("bytes are free") == true, "\(error)")
        let left = tool.files(below: disk.path + "/cache")
        #expect(!left.contains { $0.hasSuffix(".tmp") }, "\(left)")
        #expect(left.contains { $0.hasSuffix(whole + "/000000.seg") })
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)

        // What was there is asked as ever, and so is a file that was indexed.
        try disk.fill()
        #expect(try tool.tokens("ask", early, "What is it?") == answer)
        #expect(try tool.tokens("ask", video, "What is it?", "--fps", "2") == answer)
        // What was cut off is listed beside it.
        #expect(
            try tool.run("ls", "--json").list().compactMap { $0["state"] as? String }.sorted() == [
                "complete", "interrupted",
            ])

        disk.empty()
        let resumed = try index(tool, "--fps", "240")
        #expect(resumed["action"] as? String == "resumed" && resumed["state"] as? String == "complete")
        #expect(try indexFiles(disk.path + "/cache/indexes/" + whole) == wanted)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
    }

    @Test func `a catalog that cannot be written ends the run, and the index is found again`() throws {
        let disk = try SmallDisk(size: "1m")
        defer { disk.remove() }
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["LONGTAKE_DATA_DIR"] = disk.path + "/data"
        let made = try index(tool)
        let id = try #require(made["index"] as? String)
        let answer = try tool.tokens("ask", id, "What is it?")
        try disk.fill()
        let refused = try tool.run("index", Fixtures.video.get(), "--fps", "3", "--json")
        #expect(refused.status == 13)
        #expect(try (refused.exitError()["message"] as? String)?.contains("catalog \(disk.path)") == true)
        // Questions do without it.
        #expect(try tool.tokens("ask", id, "What is it?") == answer)
        let said = try tool.run("show", id)
        #expect(said.status == 0 && said.errors.contains("works without the catalog"), "\(said.errors)")
        disk.empty()
        #expect(try index(tool)["action"] as? String == "unchanged")
        #expect(try tool.run("cache", "verify").status == 0)
        // From nothing as well.
        try FileManager.default.removeItem(atPath: disk.path + "/data")
        try disk.fill()
        #expect(try tool.run("index", Fixtures.video.get()).status == 13)
        disk.empty()
        #expect(try index(tool)["action"] as? String == "unchanged")
    }

    @Test func `a pipe that does not fit into the temporary folder`() throws {
        let disk = try SmallDisk(size: "1m")
        defer { disk.remove() }
        var tool = try Tool()
        defer { tool.remove() }
        tool.environment["TMPDIR"] = disk.path
        try disk.fill(leaving: 100 << 10)
        let input = try #require(FileHandle(forReadingAtPath: try Fixtures.video.get()))
        let refused = try tool.shell("exec \"$TOOL\" index - --json", input: input)
        #expect(refused.status == 13)
        let error = try refused.exitError()
        #expect(error["error"] as? String == "no_space")
        #expect((error["message"] as? String)?.contains("no space in \(disk.path)") == true, "\(error)")
        #expect(tool.files(below: disk.path) == ["filler"])
        #expect(disk.free > 0, "the spool has gone")
        disk.empty()
        let again = try #require(FileHandle(forReadingAtPath: try Fixtures.video.get()))
        #expect(try tool.shell("exec \"$TOOL\" index - --json", input: again).status == 0)
    }

    /// Room for none of the answers; for the first and a part of the second.
    @Test(arguments: [0, 4096]) func `a pipeline's output has each answer once`(room: Int) throws {
        let disk = try SmallDisk(size: "1m")
        defer { disk.remove() }
        let tool = try Tool()
        defer { tool.remove() }
        let output = disk.path + "/answers.jsonl"
        let questions = (0..<6).map { "  - {id: q\($0), ask: \"What is thing \($0)?\", max_tokens: 8}" }
        try """
        version: 1
        inputs: [\(Fixtures.video.get())]
        output: \(output)
        questions:
        \(questions.joined(separator: "\n"))
        """.write(toFile: tool.path("p.yaml"), atomically: true, encoding: .utf8)
        try disk.fill(leaving: room)
        let refused = try tool.run("run", tool.path("p.yaml"), "--json")
        #expect(refused.status == 13, "\(refused.text) \(refused.errors)")
        #expect(try (refused.exitError()["message"] as? String)?.contains(output) == true)
        disk.empty()
        let done = try tool.run("run", tool.path("p.yaml"), "--json")
        #expect(done.status == 0, "\(done.errors)")
        let lines = try Data(contentsOf: URL(filePath: output)).split(separator: UInt8(ascii: "\n")).compactMap {
            try? JSONSerialization.jsonObject(with: $0) as? [String: Any]
        }
        #expect(lines.compactMap { $0["question_id"] as? String }.sorted() == (0..<6).map { "q\($0)" })
        let again = try #require(try tool.run("run", tool.path("p.yaml"), "--json").lines().last)
        #expect(again["answers"] as? Int == 0 && again["answers_unchanged"] as? Int == 6)
    }

    /// Cache and catalog on one disk: SQLite can make neither its log nor the log's index there.
    @Test(arguments: [["rm", "ID", "--yes"], ["rm", "PATH", "--yes"], ["cache", "prune", "--max", "0", "--yes"]])
    func `what is removed makes room on a disk without any`(arguments: [String]) throws {
        let disk = try SmallDisk(size: "64m")
        defer { disk.remove() }
        var tool = try tool(disk)
        defer { tool.remove() }
        tool.environment["LONGTAKE_DATA_DIR"] = disk.path + "/data"
        let video = try Fixtures.video.get()
        let id = try #require(try index(tool, "--fps", "2")["id"] as? String)
        try disk.fill()
        try #require(disk.free == 0)
        let result = try tool.run(arguments.map { $0 == "ID" ? id : $0 == "PATH" ? video : $0 })
        #expect(result.status == 0, "\(result.errors)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path + "/cache/indexes").isEmpty)
        #expect(disk.free > 0)
        #expect(try tool.run("ls", "--json").list().isEmpty)
        disk.empty()
        #expect(try index(tool, "--fps", "2")["action"] as? String == "new")
    }

    @Test func `a disk without inodes says so`() throws {
        let disk = try SmallDisk(size: "64m,nr_inodes=40")
        defer { disk.remove() }
        let tool = try tool(disk)
        defer { tool.remove() }
        _ = try index(tool, "--fps", "2")
        var number = 0
        while FileManager.default.createFile(atPath: disk.path + "/\(number)", contents: nil) { number += 1 }
        let result = try tool.run("index", try Fixtures.video.get(), "--fps", "3")
        #expect(result.status == 13)
        #expect(result.errors.contains("no inodes are left"), "\(result.errors)")
        #expect(try tool.run("cache", "verify").status == 0)
    }
}
