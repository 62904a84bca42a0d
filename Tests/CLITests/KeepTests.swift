import Foundation
import Glibc
import Testing

/// What of a recording is kept, how much the cache may hold, and several processes at once.
@Suite struct KeepTests {
    private func done(_ result: Tool.Result) throws -> [String: Any] {
        #expect(result.status == 0, "\(result.errors)")
        return try #require(try result.lines().first { $0["message_type"] as? String == "verbose_status" })
    }

    @Test func `tokens alone are small, and patches are made when they are asked for`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let plan = try #require(
            try tool.run("index", video, "--fps", "60", "--keep", "tokens", "--dry-run", "--json").lines().first)
        let small = try done(try tool.run("index", video, "--fps", "60", "--keep", "tokens", "--json"))
        let id = try #require(small["index"] as? String)
        let names = try indexFiles(tool.path("cache/indexes/" + id)).keys.sorted()
        #expect(names == ["000000.seg", "000001.seg", "manifest.json", "sample.pat"])
        let planned = try #require(plan["bytes"] as? Int)
        // Headers, record heads and the padding come on top.
        #expect(small["bytes"] as? Int ?? 0 >= planned && small["bytes"] as? Int ?? .max < planned + 20_000)
        #expect(try tool.run("ls", "--json").list().first?["patches"] as? String == "sample")
        let again = try done(try tool.run("index", video, "--fps", "60", "--keep", "tokens", "--json"))
        #expect(again["action"] as? String == "unchanged")
        let taken = try done(try tool.run("index", video, "--fps", "60", "--json"))
        #expect(taken["action"] as? String == "unchanged", "nobody asked for patches")
        let large = try done(try tool.run("index", video, "--fps", "60", "--keep", "patches", "--json"))
        #expect(large["action"] as? String == "new" && large["index"] as? String == id)
        #expect((large["bytes"] as? Int ?? 0) > 2 * (small["bytes"] as? Int ?? .max))
        #expect(try tool.run("ls", "--json").list().count == 1)
        // What has patches serves those who want none.
        let served = try done(try tool.run("index", video, "--fps", "60", "--keep", "tokens", "--json"))
        #expect(served["action"] as? String == "unchanged" && served["bytes"] as? Int == large["bytes"] as? Int)
        #expect(try tool.run("index", video, "--keep", "all").status == 64)
    }

    @Test func `a short recording loses nothing without patches`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        var other = try Tool()
        defer { other.remove() }
        other.environment["LONGTAKE_KEEP"] = "tokens"
        let video = try Fixtures.video.get()
        let answers = try [tool, other].map {
            try $0.run("ask", video, "What is it?", "--max-tokens", "8", "--json").object()["token_ids"] as? [Int]
        }
        #expect(answers[0] != nil && answers[0] == answers[1])
        #expect(try other.run("ls", "--json").list().first?["patches"] as? String == "sample")
        // Every frame's patches are there: nothing to make anew.
        let again = try done(try other.run("index", video, "--keep", "patches", "--json"))
        #expect(again["action"] as? String == "unchanged")
    }

    @Test func `the cache stays below its limit`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let first = try done(try tool.run("index", video, "--fps", "30", "--json"))
        let each = try #require(first["bytes"] as? Int)
        let limit = each * 2
        for (number, fps) in ["31", "32", "33"].enumerated() {
            let made = try tool.run("index", video, "--fps", fps, "--cache-max", "\(limit)", "--json")
            #expect(made.status == 0, "\(number): \(made.errors)")
            let bytes = try #require(try tool.run("cache", "stats", "--json").object()["bytes"] as? Int)
            #expect(bytes <= limit, "after \(fps)")
        }
        let left = try tool.run("ls", "--json").list()
        #expect(left.contains { ($0["sampling"] as? String)?.hasPrefix("grid:33") == true })
        #expect(!left.contains { ($0["index"] as? String) == first["index"] as? String })
        // More than there may ever be is refused before anything is done.
        let refused = try tool.run("index", video, "--fps", "60", "--cache-max", "100K", "--json")
        #expect(refused.status == 13)
        #expect(refused.errors.contains("--cache-max"))
        #expect(try tool.run("ls", "--json").list().count == left.count)
        var environment = tool
        environment.environment["LONGTAKE_CACHE_MAX_BYTES"] = "100K"
        #expect(try environment.run("index", video, "--fps", "60").status == 13)
        environment.environment["LONGTAKE_CACHE_MAX_BYTES"] = "lots"
        #expect(try environment.run("index", video, "--fps", "60").status == 64)
    }

    @Test(arguments: [true, false])
    func `eight processes make one index`(waits: Bool) throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let arguments = ["index", video, "--fps", "60", "--json"] + (waits ? ["--wait-lock", "5m"] : [])
        let started = try (0..<8).map { _ in try tool.start(arguments) }
        var (statuses, actions) = ([Int32](), [String]())
        for (process, output, errors) in started {
            let data = output.fileHandleForReading.readDataToEndOfFile()
            let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            statuses.append(process.terminationStatus)
            #expect([0, 11].contains(process.terminationStatus), "\(said)")
            for line in data.split(separator: UInt8(ascii: "\n")) {
                let object = try JSONSerialization.jsonObject(with: line) as? [String: Any]
                if let action = object?["action"] as? String { actions.append(action) }
            }
        }
        #expect(actions.filter { $0 == "new" }.count == 1, "\(actions)")
        #expect(actions.allSatisfy { ["new", "unchanged"].contains($0) }, "\(actions)")
        if waits { #expect(statuses.allSatisfy { $0 == 0 } && actions.count == 8) }
        #expect(try tool.run("ls", "--json").list().map { $0["frames"] as? Int } == [720])
        #expect(try tool.run("cache", "verify", "--read-data").status == 0)
        #expect(try tool.run("index", video, "--fps", "60", "--json").lines().last?["files_unmodified"] as? Int == 1)
    }
}
