import Foundation
import Testing

/// A decoder that the kernel kills for its memory, or that dies of one file.
@Suite struct WorkerDeathTests {
    @Test func `a decoder that dies of one file spares the others`() throws {
        var tool = try Tool()
        defer { tool.remove() }
        try FileManager.default.createDirectory(atPath: tool.path("in"), withIntermediateDirectories: true)
        for number in 1...3 {
            try Fixtures.ffmpeg(
                "-f", "lavfi", "-i", "testsrc=size=64x\(46 + 2 * number):rate=5:duration=\(number)", "-c:v", "mpeg4",
                tool.path("in/\(number).mkv"))
        }
        let bad = tool.path("in/2.mkv")
        let size = try #require(try FileManager.default.attributesOfItem(atPath: bad)[.size] as? Int)
        try tool.decode(by: "[ \"$(stat -L -c %s /proc/$$/fd/3)\" = \(size) ] && kill -9 $$\nexec \"$LONGTAKE\" \"$@\"")
        let batch = try tool.run("index", tool.path("in"), "--json")
        #expect(batch.status == 3, "\(batch.errors)")
        #expect(try batch.actions() == ["new", "new"])
        #expect(try batch.summary()["files_failed"] as? Int == 1)
        let failure = try batch.exitError()
        #expect((failure["error"] as? [String: Any])?["code"] as? String == "decoder_crashed", "\(batch.errors)")
        #expect((failure["item"] as? String)?.hasSuffix("2.mkv") == true)
        try tool.verify()

        let alone = try tool.run("index", bad, "--json")
        #expect(alone.status == 14, "\(alone.errors)")
        #expect(try alone.exitError()["error"] as? String == "decoder_crashed")
        tool.environment["LONGTAKE_WORKER"] = nil
        let later = try tool.run("index", tool.path("in"), "--json")
        #expect(later.status == 0, "\(later.errors)")
        #expect(try later.actions() == ["unchanged", "new", "unchanged"])
        try tool.verify()
    }
}
