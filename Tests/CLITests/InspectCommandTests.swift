import Foundation
import FoundationXML
import TestSupport
import Testing

/// `longtake inspect`: pictures of what a model looks at, and the numbers they show.
@Suite struct InspectCommandTests {
    private struct Written {
        let report: [String: Any]
        let frames: [[String: Any]]
    }

    private func inspect(_ tool: Tool, _ arguments: String...) throws -> Written {
        let result = try tool.run(["inspect", "compression"] + arguments + ["--out", tool.path("maps"), "--json"])
        try #require(result.status == 0, "\(result.errors)")
        let data = try Data(contentsOf: URL(filePath: tool.path("maps/compression.json")))
        let contents = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        return Written(
            report: try result.object(), frames: try #require(contents["frames"] as? [[String: Any]]))
    }

    @Test func `each frame has a picture and weights that sum to 1`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let written = try inspect(tool, Fixtures.video.get(), "--every", "2")
        try #require(written.frames.count > 1)
        #expect(written.report["frames"] as? Int == written.frames.count)
        for (number, frame) in written.frames.enumerated() {
            #expect(frame["frame"] as? Int == number && frame["time"] as? Double == 2 * Double(number))
            let grid = try #require(frame["grid"] as? Int)
            let weights = try #require(frame["weights"] as? [[Double]])
            #expect(weights.count == 1 && weights[0].count == grid * grid)
            #expect(abs(weights[0].reduce(0, +) - 1) < 1e-4 && weights[0].allSatisfy { $0 >= 0 })
            let even = try #require(frame["even_entropy_bits"] as? Double)
            let entropy = try #require(frame["entropy_bits"] as? Double)
            #expect(entropy > 0 && entropy <= even + 1e-6)
            let name = tool.path("maps/frame-00000\(number)")
            let size = try RealTool.ffprobe([
                "-show_entries", "stream=width,height", "-of", "csv=p=0", name + ".png",
            ])
            #expect(size.trimmingCharacters(in: .whitespacesAndNewlines) == "336,336")
            let drawing = XMLParser(data: try Data(contentsOf: URL(filePath: name + ".svg")))
            #expect(drawing.parse(), "\(String(describing: drawing.parserError))")
        }
        let files = try #require(written.report["files"] as? [String])
        #expect(files.count == 2 * written.frames.count + 2)
        #expect(files.allSatisfy { FileManager.default.fileExists(atPath: $0) })
    }

    @Test func `one frame at a time, and an image`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let video = try Fixtures.video.get()
        let one = try inspect(tool, video, "--at", "1.5")
        #expect(one.frames.count == 1 && one.frames.first?["time"] as? Double == 1)
        #expect(!FileManager.default.fileExists(atPath: tool.path("maps/contact-sheet.png")))
        let image = tool.path("a.png")
        try Fixtures.ffmpeg("-i", video, "-frames:v", "1", image)
        let still = try inspect(tool, image)
        #expect(still.frames.count == 1 && still.frames.first?["time"] as? Double == 0)
    }

    @Test func `a video has the pictures for as long as the frames lasted`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let file = tool.path("maps.mp4")
        let written = try inspect(tool, Fixtures.video.get(), "--every", "1", "--video", file)
        let duration = try RealTool.ffprobe(["-show_entries", "format=duration", "-of", "csv=p=0", file])
        let seconds = try #require(Double(duration.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(abs(seconds - Double(written.frames.count)) < 0.5)
    }

    @Test func `what cannot be shown says so in a line`() throws {
        let tool = try Tool()
        defer { tool.remove() }
        let (video, out) = (try Fixtures.video.get(), tool.path("maps"))
        let uncompressed = HubServer.repository + "/Tests/Fixtures/llava/hf"
        let cases: [([String], Int32, String)] = [
            ([video, "--out", out, "--model", uncompressed], 12, "compressor"),
            ([video, "--out", out, "--at", "500"], 64, "no frame at 500 s: the recording has frames from 0 s to"),
            ([video, "--out", out, "--at", "1", "--every", "1"], 64, "--at and --every exclude each other"),
            ([video, "--out", out, "--every", "0"], 64, "--every must be 0.001 s to 24 h"),
            (["-", "--out", out], 64, "standard input cannot be inspected"),
            ([tool.path("none.mp4"), "--out", out], 14, "No such file"),
            ([video, "--out", "/proc/none"], 13, "cannot create the folder"),
            ([video, "--out", out, "--video", "/proc/none.mp4"], 13, "ffmpeg"),
        ]
        for (arguments, status, text) in cases {
            let result = try tool.run(["inspect", "compression"] + arguments)
            #expect(result.status == status, "\(arguments): \(result.status) \(result.errors)")
            #expect(result.errors.contains(text), "\(arguments): \(result.errors)")
            #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        }
    }
}
