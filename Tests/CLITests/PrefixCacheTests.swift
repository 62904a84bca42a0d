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
        let lines = try tool.run("index", Fixtures.video.get(), "--derive", "now", "--json").lines()
        let planned = try #require(lines.first?["prefix_cache_bytes"] as? Int)
        let done = try #require(lines.first { $0["message_type"] as? String == "verbose_status" })
        let made = derivedBytes(tool)
        #expect(made > 0 && done["prefix_cache_bytes"] as? Int == made)
        #expect(planned > made / 2 && planned < 2 * made, "\(planned) and \(made)")
        #expect(lines.last?["bytes_added"] as? Int == (done["bytes"] as? Int ?? 0) + made)
    }
}
