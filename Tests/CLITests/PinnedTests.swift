import Foundation
import Glibc
import Testing

/// Indexes that others hold, and caches that hold what a newer program wrote.
@Suite struct PinnedTests {
    private func index(_ tool: Tool, _ fps: String) throws -> (id: String, bytes: Int) {
        let result = try tool.run(
            "index", try Fixtures.video.get(), "--fps", fps, "--prefix-cache", "never", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let made = try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
        return (try #require(made["index"] as? String), try #require(made["bytes"] as? Int))
    }

    /// Holds a lock file of an index as another process would.
    private func hold(_ tool: Tool, _ id: String, _ name: String, _ kind: Int32) throws -> Int32 {
        let descriptor = open(tool.path("cache/indexes/\(id)/\(name)"), O_RDWR | O_CLOEXEC)
        try #require(descriptor >= 0 && flock(descriptor, kind | LOCK_NB) == 0)
        return descriptor
    }

    @Test func `a cache full of what is in use says of what, and keeps it`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let (open, written) = (try index(tool, "3"), try index(tool, "3.1"))
        let locks = [
            try hold(tool, open.id, ".readers", LOCK_SH), try hold(tool, written.id, ".lock", LOCK_EX),
        ]
        let used = try #require(try tool.run("cache", "stats", "--json").object()["bytes"] as? Int)
        let arguments = [
            "index", try Fixtures.video.get(), "--fps", "3.3", "--cache-max", "\(used + 100_000)", "--json",
        ]
        let before = try [open, written].map { try indexFiles(tool.path("cache/indexes/" + $0.id)) }
        let refused = try tool.run(arguments)
        #expect(refused.status == 13)
        let error = try refused.exitError()
        #expect(error["error"] as? String == "cache_full")
        let message = try #require(error["message"] as? String)
        #expect(message.contains("video.mp4 (open, ") && message.contains("video.mp4 (being written, "), "\(message)")
        #expect(message.contains("a limit of \(used + 100_000) bytes"), "\(message)")
        #expect(try [open, written].map { try indexFiles(tool.path("cache/indexes/" + $0.id)) } == before)
        #expect(try tool.run("ls", "--json").list().count == 2)
        // `prune` says the same.
        let pruned = try tool.run("cache", "prune", "--max", "1000", "--yes", "--json")
        #expect(pruned.status == 13)
        let pinned = try #require(try pruned.object()["pinned"] as? [[String: Any]])
        #expect(Set(pinned.compactMap { $0["reason"] as? String }) == ["open", "being written"])
        #expect(try [open, written].map { try indexFiles(tool.path("cache/indexes/" + $0.id)) } == before)
        locks.forEach { close($0) }
        // Nobody has them any more: they make room.
        #expect(try tool.run(arguments).status == 0)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
    }

    /// A question sees the whole index or none, whatever is removed meanwhile.
    @Test(arguments: [(["cache", "prune", "--max", "1000", "--yes"], 1), (["rm"], 2)])
    func `questions while indexes are removed`(removal: [String], rounds: Int) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        _ = try index(tool, "3")
        let id = try tool.run("ls", "--quiet").text.trimmingCharacters(in: .whitespacesAndNewlines)
        let reference = try tool.tokens("ask", id, "What is it?")
        // Each asks until it is told that there is no such recording any more.
        let script = """
            while :; do
                "$TOOL" ask "$1" "What is it?" --max-tokens 8 --prefix-cache never --json >out.$2 2>err.$2
                status=$?
                printf '%s ' $status
                [ $status = 0 ] || { cat err.$2 >&2; exit $status; }
                cp out.$2 good.$2
            done
            """
        var (missed, answered) = (0, 0)
        for round in 0..<rounds {
            let asking = try (0..<4).map { number in
                let process = Process()
                process.executableURL = URL(filePath: "/bin/sh")
                process.arguments = ["-c", script, "sh", id, "\(round).\(number)"]
                process.environment = tool.environment.merging(["TOOL": Tool.executable.path]) { $1 }
                process.currentDirectoryURL = tool.folder
                let (output, errors) = (Pipe(), Pipe())
                process.standardOutput = output
                process.standardError = errors
                try process.run()
                return (process, output, errors)
            }
            // Until the first has an answer; the others are anywhere between opening the index and the last word.
            let deadline = ContinuousClock.now + .seconds(60)
            while ContinuousClock.now < deadline,
                !tool.files(below: "").contains(where: { $0.hasPrefix("good.\(round).") })
            {
                usleep(5000)
            }
            // What is open stays; one of the four nearly always has it open.
            if removal != ["rm"] {
                for _ in 0..<6 {
                    let result = try tool.run(removal)
                    #expect([0, 13].contains(result.status), "\(result.status) \(result.errors)")
                }
            }
            let removed = try tool.run("rm", id, "--yes")
            #expect([0, 10].contains(removed.status), "\(removed.status) \(removed.errors)")
            for (number, started) in asking.enumerated() {
                let ended = try Tool.result(of: started.0, started.1, started.2)
                let statuses = ended.text.split(separator: " ").compactMap { Int($0) }
                #expect(
                    statuses.last == 10 && statuses.dropLast().allSatisfy { $0 == 0 }, "\(ended.text) \(ended.errors)")
                #expect(!ended.errors.contains("damaged"), "\(ended.errors)")
                missed += 1
                guard let good = FileManager.default.contents(atPath: tool.path("good.\(round).\(number)")) else {
                    continue
                }
                let answer = try #require(try JSONSerialization.jsonObject(with: good) as? [String: Any])
                #expect(answer["token_ids"] as? [Int] == reference)
                answered += 1
            }
            #expect(try tool.run("index", video, "--fps", "3", "--prefix-cache", "never").status == 0)
        }
        #expect(missed == 4 * rounds && answered >= rounds)
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
    }

    @Test func `the catalogue of a newer version is left alone`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        _ = try index(tool, "1")
        let path = tool.path("data/catalog.sqlite")
        // Bytes 60 to 63 of a database file, big endian, are its user_version.
        var data = try Data(contentsOf: URL(filePath: path))
        let own = data[63]
        data.replaceSubrange(60..<64, with: [0, 0, 0, own + 1])
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        try data.write(to: URL(filePath: path))
        let video = try Fixtures.video.get()
        for arguments in [["index", video], ["ask", video, "What is it?"], ["ls"], ["search", "a thing"]] {
            let refused = try tool.run(arguments + ["--json"])
            #expect(refused.status == 12, "\(arguments): \(refused.errors)")
            let error = try refused.exitError()
            #expect(error["error"] as? String == "newer_format", "\(arguments)")
            let message = try #require(error["message"] as? String)
            #expect(
                message.contains(path) && message.contains("version \(own + 1)") && message.contains("version \(own):"),
                "\(message)")
        }
        #expect(try Data(contentsOf: URL(filePath: path)) == data)
        #expect(!tool.files(below: "data").contains { $0.contains("damaged") })
    }

    @Test func `an index of a newer version is left alone and named`() throws {
        var tool = try Tool(model: false)
        defer { tool.remove() }
        // Two recordings that can be searched.
        tool.environment["LONGTAKE_MODEL"] = SearchCommandTests.model
        let video = SearchCommandTests.recordings[0]
        #expect(try tool.run(["index", "--prefix-cache", "never"] + SearchCommandTests.recordings).status == 0)
        let made = try #require(try tool.run("show", video, "--json").list().first)
        let (id, index) = (try #require(made["id"] as? String), try #require(made["index"] as? String))
        let path = tool.path("cache/indexes/\(index)/manifest.json")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let envelope = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        let own = try #require(envelope["format"] as? Int)
        let newer = text.replacing("\"format\":\(own)", with: "\"format\":\(own + 2)")
        try #require(newer != text)
        try newer.write(toFile: path, atomically: false, encoding: .utf8)
        let before = tool.files(below: "cache/indexes/\(index)")

        let found = try tool.run("search", SearchCommandTests.text, "--json").object()
        #expect(found["recordings"] as? Int == 1)
        let notes = try #require(found["notes"] as? [String])
        #expect(notes.contains { $0.contains("newer version") && $0.contains(index) }, "\(notes)")
        #expect(try tool.run("cache", "stats", "--json").object()["other_versions"] as? Int == 1)
        for arguments in [
            ["index", video], ["index", video, "--force"], ["ask", video, "What is it?"], ["ask", id, "What is it?"],
            ["ask", index, "What is it?"], ["show", id], ["rm", id, "--yes"], ["search", "a star", id],
        ] {
            let refused = try tool.run(arguments + ["--json"])
            #expect(refused.status == 12, "\(arguments): \(refused.status) \(refused.errors)")
            let error = try refused.exitError()
            #expect(error["error"] as? String == "newer_format", "\(arguments): \(error)")
            let message = try #require(error["message"] as? String)
            #expect(message.contains("version \(own + 2)") && message.contains("version \(own + 1):"), "\(message)")
        }
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
        #expect(try tool.run("cache", "repair").status == 0)
        _ = try tool.run("cache", "prune", "--max", "0", "--incomplete", "--yes")
        #expect(try tool.run("search", SearchCommandTests.text).status == 12, "nothing else is left")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == newer)
        #expect(Set(before).isSubset(of: tool.files(below: "cache/indexes/\(index)")))
    }
}
