import Foundation
import Testing

@Suite struct PrefixCacheTests {
    private func derivedBytes(_ tool: Tool) -> Int {
        let folder = tool.path("cache/derived")
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).reduce(0) {
            $0 + (((try? FileManager.default.attributesOfItem(atPath: folder + "/" + $1))?[.size] as? Int) ?? 0)
        }
    }

    @Test func `a short recording gets no prefix cache unless it is asked for`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let done = try #require(
            try tool.run("index", video, "--json").lines().first { $0["message_type"] as? String == "verbose_status" })
        #expect(done["prefix_cache_bytes"] as? Int == 0)
        try tool.run("ask", video, "What is it?", "--max-tokens", "2")
        #expect(derivedBytes(tool) == 0)
    }

    @Test func `plans and results count the prefix cache`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let lines = try tool.run("index", Fixtures.video.get(), "--prefix-cache", "now", "--json").lines()
        let planned = try #require(lines.first?["prefix_cache_bytes"] as? Int)
        let done = try #require(lines.first { $0["message_type"] as? String == "verbose_status" })
        let made = derivedBytes(tool)
        #expect(made > 0 && done["prefix_cache_bytes"] as? Int == made)
        #expect(planned > made / 2 && planned < 2 * made, "\(planned) and \(made)")
        #expect(lines.last?["bytes_added"] as? Int == (done["bytes"] as? Int ?? 0) + made)
        let again = try tool.run("index", Fixtures.video.get(), "--json").lines()
        #expect(
            again.first { $0["message_type"] as? String == "verbose_status" }?["prefix_cache_bytes"] as? Int == made)
        #expect(again.last?["bytes_added"] as? Int == 0)
        let plan = try tool.run("index", Fixtures.video.get(), "--dry-run", "--json").lines()
        #expect(plan.first?["prefix_cache_bytes"] as? Int == made)
        for command in [["ls"], ["show", try Fixtures.video.get()], ["rm", try Fixtures.video.get(), "--dry-run"]] {
            let item = try #require(try tool.run(command + ["--json"]).list().first)
            #expect(item["prefix_cache_bytes"] as? Int == made, "\(command)")
            #expect(item["bytes"] as? Int == done["bytes"] as? Int)
        }
        let before = try Int(tool.run("cache", "stats", "--quiet").text.trimmingCharacters(in: .newlines)) ?? 0
        try tool.run("rm", Fixtures.video.get(), "--yes")
        let after = try Int(tool.run("cache", "stats", "--quiet").text.trimmingCharacters(in: .newlines)) ?? 0
        #expect(before - after >= made + (done["bytes"] as? Int ?? 0))
    }
}
