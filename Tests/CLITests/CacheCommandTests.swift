import Foundation
import Glibc
import Testing

@Suite struct CacheCommandTests {
    private func index(_ tool: Tool, _ arguments: String...) throws -> [String: Any] {
        let result = try tool.run(["index", Fixtures.video.get(), "--json"] + arguments)
        #expect(result.status == 0, "\(result.errors)")
        return try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
    }

    /// The files of the only index, by name; what a run may do differently each time is left out.
    private func files(_ tool: Tool, _ id: String) throws -> [String: Data] {
        try indexFiles(tool.path("cache/indexes/" + id))
    }

    @Test(arguments: [["cache"], ["cache", "stats"], ["cache", "verify"], ["cache", "prune"], ["cache", "repair"]])
    func `help leads with an example`(command: [String]) throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        let result = try tool.run(command + ["--help"])
        #expect(result.status == 0)
        let example = try #require(result.text.range(of: "EXAMPLE"))
        #expect(example.lowerBound < (try #require(result.text.range(of: "USAGE"))).lowerBound)
    }

    @Test func `where there is no cache the status is 10`() throws {
        let tool = try Tool(model: false)
        defer { tool.remove() }
        for command in ["stats", "verify", "prune", "repair"] {
            let result = try tool.run("cache", command, "--json")
            #expect(result.status == 10)
            #expect(try result.exitError()["error"] as? String == "no_cache")
        }
        #expect(!FileManager.default.fileExists(atPath: tool.path("cache")))
    }

    @Test func `statistics add up`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let made = try index(tool)
        let stats = try tool.run("cache", "stats", "--json").object()
        #expect(stats["indexes"] as? Int == 1 && stats["frames"] as? Int == 12)
        #expect(stats["indexes_with_patches"] as? Int == 1)
        #expect(stats["bytes"] as? Int ?? 0 > made["bytes"] as? Int ?? .max)
        #expect(stats["max_bytes"] as? Int ?? 0 > 0)
        #expect(try tool.run("cache", "stats").text.contains("12 frames"))
        #expect(try tool.run("cache", "stats", "--quiet").text == "\(stats["bytes"] as? Int ?? 0)\n")
    }

    @Test func `damage ends verify with 17, naming file and frame, and repair makes it good`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let made = try index(tool, "--fps", "60")
        let id = try #require(made["index"] as? String)
        let good = try files(tool, id)
        let clean = try tool.run("cache", "verify", "--read-data", "--json")
        #expect(clean.status == 0, "\(clean.text)")
        let whole = try clean.object()
        #expect(whole["frames"] as? Int == 720 && whole["files"] as? Int == 4)
        #expect((whole["damage"] as? [Any])?.isEmpty == true)

        // A bit of frame 700's patches.
        let file = tool.path("cache/indexes/\(id)/000001.pat")
        var bytes = try Data(contentsOf: URL(filePath: file))
        let each = (bytes.count - 4096 - 24) / 120
        bytes[4096 + 100 * each + 500] ^= 4
        try bytes.write(to: URL(filePath: file))
        #expect(try tool.run("cache", "verify").status == 0, "the structure is whole")
        let found = try tool.run("cache", "verify", "--read-data", "--json")
        #expect(found.status == 17)
        let damage = try #require((try found.object()["damage"] as? [[String: Any]])?.first)
        #expect(damage["file"] as? String == file && damage["frame"] as? Int == 700)
        #expect(damage["index"] as? String == id && (damage["name"] as? String)?.isEmpty == false)
        #expect(try found.exitError()["code"] as? Int == 17)
        let said = try tool.run("cache", "verify", "--read-data")
        #expect(said.text.contains("frame 700") && said.text.contains("000001.pat"))
        #expect(said.errors.contains("cache repair"))
        let statuses = try (1...4).map { try tool.run("cache", "verify", "--subset", "\($0)/4").status }
        #expect(statuses.sorted() == [0, 0, 0, 17])
        #expect(try tool.run("cache", "verify", "--subset", "5/4").status == 64)

        let repaired = try tool.run("cache", "repair", "--json")
        #expect(repaired.status == 0)
        let item = try #require((try repaired.object()["repaired"] as? [[String: Any]])?.first)
        #expect(item["action"] as? String == "shortened" && item["frames"] as? Int == 600)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
        #expect(try tool.run("ls", "--json").list().first?["state"] as? String == "partial")
        let again = try index(tool, "--fps", "60")
        #expect(again["action"] as? String == "resumed" && again["state"] as? String == "complete")
        #expect(try files(tool, id) == good)
    }

    @Test func `a damaged catalogue is found, and made anew`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try index(tool)
        let path = tool.path("data/catalog.sqlite")
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        try Data("no database, but long enough to be looked at as one".utf8).write(to: URL(filePath: path))
        let found = try tool.run("cache", "verify", "--json")
        #expect(found.status == 17)
        #expect((try found.object()["damage"] as? [[String: Any]])?.first?["file"] as? String == path)
        let repaired = try tool.run("cache", "repair", "--json").object()
        #expect(repaired["recordings"] as? Int == 1)
        #expect(try tool.run("cache", "verify").status == 0)
        #expect(try index(tool)["action"] as? String == "unchanged")
    }

    @Test func `prune asks, says what it would do, and does it`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let first = try index(tool, "--fps", "20", "--prefix-cache", "never")
        let second = try index(tool, "--fps", "25", "--prefix-cache", "never")
        let (a, b) = (try #require(first["index"] as? String), try #require(second["index"] as? String))
        #expect(try tool.run("cache", "prune").status == 0, "there is nothing to ask about")
        let refused = try tool.run("cache", "prune", "--max", "0")
        #expect(refused.status == 64 && refused.errors.contains("--yes"))
        #expect(try tool.run("cache", "prune", "--max", "much").status == 64)
        let before = try #require(try tool.run("cache", "stats", "--json").object()["bytes"] as? Int)
        let dry = try tool.run("cache", "prune", "--max", "\(before - 1000)", "--dry-run", "--json").object()
        let removed = try #require(dry["removed"] as? [[String: Any]])
        #expect(removed.map { $0["kind"] as? String } == ["patches"])
        #expect(removed.first?["index"] as? String == a)
        #expect(dry["dry_run"] as? Bool == true)
        #expect(FileManager.default.fileExists(atPath: tool.path("cache/indexes/\(a)/000000.pat")))
        let done = try tool.run("cache", "prune", "--max", "\(before - 1000)", "--yes", "--json").object()
        #expect((done["bytes_after"] as? Int ?? .max) <= before - 1000)
        #expect(!FileManager.default.fileExists(atPath: tool.path("cache/indexes/\(a)/000000.pat")))
        #expect(FileManager.default.fileExists(atPath: tool.path("cache/indexes/\(a)/sample.pat")))
        let listed = try tool.run("ls", "--json").list()
        #expect(Set(listed.compactMap { $0["patches"] as? String }) == ["all", "sample"])
        // The first one was asked last: the other one goes whole before it.
        try Data().write(to: URL(filePath: tool.path("cache/indexes/\(a)/.asked")))
        let small = try #require(try tool.run("cache", "stats", "--json").object()["bytes"] as? Int)
        let whole = try tool.run("cache", "prune", "--max", "\(small / 2)", "--yes", "--json").object()
        #expect(((whole["removed"] as? [[String: Any]]) ?? []).allSatisfy { $0["index"] as? String == b })
        #expect(try tool.run("ls", "--json").list().map { $0["index"] as? String } == [a])
        let nothing = try tool.run("cache", "prune", "--max", "0", "--yes", "--json")
        #expect(try nothing.status == 0 && nothing.object()["bytes_after"] as? Int == 0)
        #expect(try tool.run("ls", "--quiet").text.isEmpty)
    }

    @Test func `an index of an older version is listed nowhere and pruned`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try index(tool)
        let old = tool.path("cache/indexes/" + String(repeating: "a", count: 32))
        try FileManager.default.createDirectory(atPath: old, withIntermediateDirectories: true)
        try Data(#"{"checksum":"0","format":1,"manifest":{}}"#.utf8).write(to: URL(filePath: old + "/manifest.json"))
        #expect(try tool.run("ls", "--json").list().count == 1)
        #expect(try tool.run("cache", "stats", "--json").object()["other_versions"] as? Int == 1)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
        let pruned = try tool.run("cache", "prune", "--yes")
        #expect(pruned.status == 0 && pruned.text.contains("older_index"))
        #expect(!FileManager.default.fileExists(atPath: old))
        #expect(try tool.run("ls", "--json").list().count == 1)
    }

    @Test func `unfinished runs go when they are asked to`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        var killed = tool
        killed.environment["LONGTAKE_CRASH_AT"] = "segment-linked"
        #expect(try killed.run("index", Fixtures.video.get()).status == 256 + SIGKILL)
        #expect(try tool.run("cache", "stats", "--json").object()["unfinished"] as? Int == 1)
        #expect(try tool.run("cache", "prune", "--yes").status == 0)
        #expect(try tool.run("cache", "stats", "--json").object()["unfinished"] as? Int == 1)
        #expect(try tool.run("cache", "prune", "--incomplete", "--yes").text.contains("unfinished"))
        #expect(try tool.run("cache", "stats", "--json").object()["unfinished"] as? Int == 0)
    }
}

/// The frame files of an index by name, and what of its manifest does not depend on when it was made.
func indexFiles(_ folder: String) throws -> [String: Data] {
    var found: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) where !name.hasPrefix(".") {
        let data = try Data(contentsOf: URL(filePath: folder + "/" + name))
        guard name == "manifest.json" else {
            found[name] = data
            continue
        }
        let envelope = try JSONSerialization.jsonObject(with: data) as? [String: Any]
        var manifest = try #require(envelope?["manifest"] as? [String: Any])
        for key in ["created", "counters"] { manifest[key] = nil }
        found[name] = try JSONSerialization.data(withJSONObject: manifest, options: .sortedKeys)
    }
    return found
}
