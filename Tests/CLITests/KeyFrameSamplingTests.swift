import Foundation
import Testing

@Suite struct KeyFrameSamplingTests {
    /// 12 s with a key frame at 0, 5 and 10 s.
    private func recording(_ tool: Tool) throws -> String {
        let path = tool.path("keys.mp4")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=12", "-c:v", "libx264", "-g", "50", "-sc_threshold", "0",
            "-pix_fmt", "yuv420p", path)
        return path
    }

    @Test func `key frames are an index of their own, asked by their own times`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try recording(tool)
        #expect(try tool.run("index", video, "--sampling", "keyframes", "--dry-run").status == 0)
        for (sampling, frames) in [("keyframes", 3), ("grid", 12)] {
            let lines = try tool.run("index", video, "--sampling", sampling, "--json").lines()
            let done = try #require(lines.first { $0["message_type"] as? String == "verbose_status" })
            #expect(done["frames"] as? Int == frames && done["state"] as? String == "complete")
            let again = try tool.run("index", video, "--sampling", sampling, "--json").lines()
            #expect(again.contains { $0["action"] as? String == "unchanged" })
        }
        #expect(try tool.run("ls").text.contains("  keyframes  "))
        let question = ["ask", video, "What is seen?", "--sampling", "keyframes", "--max-tokens", "4", "--json"]
        let answer = try tool.run(question + ["--from", "4", "--to", "11"]).object()
        #expect((answer["fusion"] as? [String: Any])?["of"] as? Int == 2)
        let id = try #require(try tool.run("ls", "--json").list().first?["id"] as? String)
        #expect(try tool.run("show", id).status == 0)
    }

    @Test func `frames writes the key frames with their times`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let folder = tool.path("frames")
        let result = try tool.run("frames", recording(tool), "--out", folder, "--sampling", "keyframes", "--json")
        #expect(result.status == 0, "\(result.errors)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".png") }
        #expect(names.count == 3)
        let text = try String(contentsOfFile: folder + "/frames.json", encoding: .utf8)
        #expect(["5", "10"].allSatisfy { text.contains("\"grid_time\" : \($0)") }, "\(text)")
    }

    @Test func `a rate does not apply to key frames`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let result = try tool.run("index", "x.mp4", "--sampling", "keyframes", "--fps", "2")
        #expect(result.status == 64 && result.errors.contains("--fps does not apply to --sampling keyframes"))
    }
}
