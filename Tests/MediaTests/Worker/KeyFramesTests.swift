import Foundation
import Media
import Testing

/// Sampling of key frames only.
@Suite struct KeyFramesTests {
    private func make(_ directory: DecodeDirectory, _ name: String, _ options: String...) throws -> String {
        let path = directory.file(name)
        try MediaTool.ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=10", "-pix_fmt", "yuv420p"] + options + [path],
            in: directory)
        return path
    }

    @Test(arguments: ["mp4", "mkv", "ts"]) func eachHasItsOwnTime(container: String) throws {
        let directory = try DecodeDirectory()
        let path = try make(
            directory, "keys." + container, "-c:v", "libx264", "-bf", "3", "-g", "25", "-sc_threshold", "0")
        let keys = try SampledFrames(path) { $0.sampling = .keyframes }
        #expect(keys.frames.map(\.index) == [0, 1, 2, 3])
        #expect(zip(keys.frames, [0, 2.5, 5, 7.5]).allSatisfy { abs($0.ptsSeconds - $1) < 1e-6 })
        #expect(keys.frames.map(\.gridTime) == keys.frames.map(\.ptsSeconds))
        #expect(keys.result.status == .complete)
        #expect(abs(keys.result.coveredSeconds - 10) < 0.2)
        #expect(keys.result.counters.framesDecoded == 4)
        // The same images as those of the grid at these times.
        let grid = try SampledFrames(path) { $0.framesPerSecond = 2 }
        for frame in keys.frames {
            let same = try #require(grid.frames.first { abs($0.gridTime - frame.gridTime) < 1e-6 })
            #expect(same.rgb == frame.rgb)
        }
        let rest = try SampledFrames(path) { ($0.sampling, $0.firstIndex) = (.keyframes, 2) }
        #expect(rest.frames.map(\.index) == [2, 3])
    }

    @Test func oneKeyFrameIsNoted() throws {
        let directory = try DecodeDirectory()
        let path = try make(directory, "one.mkv", "-c:v", "libx264", "-g", "1000", "-sc_threshold", "0")
        let keys = try SampledFrames(path) { $0.sampling = .keyframes }
        #expect(keys.frames.count == 1)
        #expect(keys.result.notes.map(\.code) == ["one_key_frame"])
        #expect(keys.result.status == .complete)
    }

    @Test func everyFrameOfAnIntraCodecIsOne() throws {
        let directory = try DecodeDirectory()
        let path = try make(directory, "intra.avi", "-c:v", "mjpeg")
        #expect(try SampledFrames(path) { $0.sampling = .keyframes }.frames.count == 100)
    }
}
