import Foundation
import Testing

/// A day is a matter of bytes on disk, never of memory.
@Suite struct LongRecordingTests {
    private func recording(_ tool: Tool, hours: Int) throws -> String {
        let path = tool.path("\(hours)h.mkv")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=96x64:rate=1/10:duration=\(hours * 3600)", "-c:v", "mpeg4", "-g", "6",
            path)
        return path
    }

    @Test func `the plan of a day says frames and bytes, and a full disk ends before it begins`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let day = try recording(tool, hours: 24)
        let plan = try #require(try tool.run("index", day, "--dry-run", "--json").lines().first)
        #expect(plan["frames"] as? Int == 86_400)
        #expect(plan["bytes"] as? Int == 86_400 * (plan["bytes_per_frame"] as? Int ?? 0))
        #expect(plan["free_bytes"] as? Int ?? 0 > 0)
        // Whatever the disk, the cache may not hold so much.
        let refused = try tool.run(
            "index", day, "--fps", "240", "--record", "f32", "--cache-max", "100M", "--json")
        #expect(refused.status == 13)
        #expect(try refused.exitError()["error"] as? String == "not_enough_disk")
        let message = try #require(try refused.exitError()["message"] as? String)
        #expect(message.contains("10000000 frames") && message.contains("\(100 << 20)"), "\(message)")
        #expect(try tool.run("ls", "--json").list().isEmpty)
    }

    @Test func `memory does not grow with the length`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        func peaks(_ hours: Int) throws -> (own: Int, worker: Int, frames: Int) {
            let result = try tool.run("index", recording(tool, hours: hours), "--fps", "0.02", "--json")
            #expect(result.status == 0, "\(result.errors)")
            let summary = try #require(try result.lines().last)
            return (
                summary["peak_memory_bytes"] as? Int ?? 0, summary["peak_worker_memory_bytes"] as? Int ?? 0,
                summary["frames"] as? Int ?? 0
            )
        }
        let (short, long) = (try peaks(1), try peaks(24))
        #expect(short.frames == 72 && long.frames == 1728)
        #expect(short.own > 0 && short.worker > 0)
        #expect(long.own - short.own < 64 << 20)
        #expect(long.worker - short.worker < 64 << 20)
    }
}
