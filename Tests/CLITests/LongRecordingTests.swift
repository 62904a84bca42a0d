import Foundation
import TestSupport
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

    @Test func `a length that is wrong refuses no file for space`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let plain = tool.path("plain.ts")
        try Fixtures.ffmpeg(
            "-f", "lavfi", "-i", "testsrc=size=96x64:rate=10:duration=60", "-c:v", "libx264", "-bf", "0", "-preset",
            "superfast", "-g", "20", plain)
        let wild = TransportStream.retime([UInt8](try Data(contentsOf: URL(filePath: plain)))) { number, time in
            number < 3 ? [44625, 25961, 92290][number] * 90_000 : time
        }
        try Data(wild).write(to: URL(filePath: tool.path("wild.ts")))
        let stream = try tool.run("index", tool.path("wild.ts"), "--cache-max", "100M", "--json")
        #expect(stream.status == 0, "\(stream.errors)")
        #expect(try stream.lines().last?["frames"] as? Int == 60)

        // Matroska says the length twice: in its header, and as a tag of the stream.
        let path = tool.path("header.mkv")
        try Fixtures.ffmpeg("-i", plain, "-c", "copy", path)
        var bytes = try Data(contentsOf: URL(filePath: path))
        let header = try #require(bytes.range(of: Data([0x44, 0x89, 0x88]))).upperBound
        let days = withUnsafeBytes(of: (30 * 86_400_000.0).bitPattern.bigEndian) { Data($0) }
        bytes.replaceSubrange(header..<header + 8, with: days)
        let tag = try #require(bytes.range(of: Data("00:01:0".utf8))).lowerBound
        bytes.replaceSubrange(tag..<tag + 5, with: Data("99:59".utf8))
        try bytes.write(to: URL(filePath: path))
        let lying = try tool.run("index", path, "--cache-max", "100M", "--json")
        #expect(lying.status == 3, "\(lying.errors)")
        #expect(try lying.lines().last?["frames"] as? Int == 60)
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
