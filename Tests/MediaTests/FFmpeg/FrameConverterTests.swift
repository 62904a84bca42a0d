import Foundation
import Media
import Testing

/// Rotation, the shape of pixels, and sizes that change.
@Suite struct FrameConverterTests {
    /// A display matrix (a b c d: x' = a·x + c·y, y' = b·x + d·y, y downwards) and ffmpeg's filters to the same effect.
    struct Turn: CustomTestStringConvertible, Sendable {
        let matrix: [Int32]
        let filters: [String]
        var testDescription: String { "\(matrix) \(filters)" }
    }

    static let turns: [Turn] = [
        Turn(matrix: [0, 1, -1, 0], filters: ["transpose=clock"]),
        Turn(matrix: [-1, 0, 0, -1], filters: ["hflip", "vflip"]),
        Turn(matrix: [0, -1, 1, 0], filters: ["transpose=cclock"]),
        Turn(matrix: [-1, 0, 0, 1], filters: ["hflip"]),
        Turn(matrix: [1, 0, 0, -1], filters: ["vflip"]),
        Turn(matrix: [0, 1, 1, 0], filters: ["transpose=cclock_flip"]),
        Turn(matrix: [0, -1, -1, 0], filters: ["transpose=clock_flip"]),
    ]

    /// The muxer writes matrices of quarter turns only: the others are written over them.
    @Test(arguments: turns) func displayMatrix(_ turn: Turn) throws {
        let directory = try DecodeDirectory()
        let recording = EncodedRecording(
            "", "mp4", .init(size: "322x182", seconds: 1.2), "-c:v libx264 -preset superfast -bf 3 -pix_fmt yuv420p")
        let path = try recording.make(in: directory)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let header = try #require(bytes.range(of: Data("tkhd".utf8)))
        // A version 0 header has 40 bytes before its matrix of a b u, c d v, x y w.
        for (place, value) in zip([0, 1, 3, 4], turn.matrix) {
            let at = header.upperBound + 40 + 4 * place
            withUnsafeBytes(of: (value << 16).bigEndian) { bytes.replaceSubrange(at..<at + 4, with: $0) }
        }
        try bytes.write(to: URL(fileURLWithPath: path))

        let every = try EveryFrame(decoding: path, turned: turn.filters, in: directory)
        let sampled = try SampledFrames(path) { $0.framesPerSecond = 5 }
        sampled.expect(every.picked(at: 5), of: every, at: 5)
        sampled.expectWhole(every)
        #expect(sampled.result.info.width == 322)
    }

    /// ffmpeg's own player turns the same way; it does so before colors are converted, hence nearly.
    @Test(arguments: [90, 180, 270]) func rotationLikePlayers(_ degrees: Int) throws {
        let directory = try DecodeDirectory()
        let recording = EncodedRecording(
            "", "mp4", .init(size: "322x182", seconds: 1), "-c:v libx264 -preset superfast -pix_fmt yuv420p",
            remux: ("", "-metadata:s:v:0 rotate=\(degrees)"))
        let path = try recording.make(in: directory)
        let raw = directory.file("upright.rgb")
        try MediaTool.ffmpeg(["-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", raw], in: directory)
        let expected = try Data(contentsOf: URL(fileURLWithPath: raw))
        let frame = try #require(try SampledFrames(path).frames.first)
        #expect(frame.width == (degrees == 180 ? 322 : 182))
        #expect(frame.rgb.count == expected.count)
        let difference = zip(frame.rgb, expected).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        #expect(difference < 5 * expected.count)
    }

    static let shapes: [EncodedRecording] = [
        .init(
            "wide pixels, mp4", "mp4", .init(seconds: 2, filters: "setsar=4/3"), "-c:v libx264 -preset superfast -bf 3"),
        .init("high pixels, mkv", "mkv", .init(seconds: 2, filters: "setsar=8/9"), "-c:v libx264 -preset superfast"),
        .init(
            "widescreen DVB, ts", "ts", .init(size: "352x288", seconds: 2),
            "-c:v mpeg2video -q:v 4 -bf 2 -aspect 16:9"),
        .init("wide pixels, MPEG-4, avi", "avi", .init(seconds: 2, filters: "setsar=16/11"), "-c:v mpeg4 -q:v 4"),
        .init(
            "wide pixels, VP9, webm", "webm", .init(seconds: 1, filters: "setsar=4/3"), "-c:v libvpx-vp9 -cpu-used 8"),
        .init(
            "container against stream, mp4", "mp4", .init(seconds: 2, filters: "setsar=1"),
            "-c:v libx264 -preset superfast", remux: ("", "-aspect 4:3")),
        .init(
            "container against stream, mkv", "mkv", .init(seconds: 2, filters: "setsar=4/3"),
            "-c:v libx264 -preset superfast", remux: ("", "-aspect 16:9")),
    ]

    @Test(arguments: shapes) func squarePixels(_ recording: EncodedRecording) throws {
        let directory = try DecodeDirectory()
        let path = try recording.make(in: directory)
        let every = try EveryFrame(decoding: path, in: directory)
        let sampled = try SampledFrames(path) { $0.framesPerSecond = 10 }
        sampled.expect(every.picked(at: 10), of: every, at: 10)
        sampled.expectWhole(every)
    }

    @Test func rotatedWidePixels() throws {
        let directory = try DecodeDirectory()
        let recording = EncodedRecording(
            "", "mp4", .init(seconds: 1, filters: "setsar=4/3"), "-c:v libx264 -preset superfast",
            remux: ("", "-metadata:s:v:0 rotate=90"))
        let path = try recording.make(in: directory)
        let every = try EveryFrame(decoding: path, turned: ["transpose=cclock"], in: directory)
        let sampled = try SampledFrames(path) { $0.framesPerSecond = 5 }
        sampled.expect(every.picked(at: 5), of: every, at: 5)
        #expect(sampled.frames.first.map { [$0.width, $0.height] } == [180, 427])
    }

    /// Parts of a transport stream one after the other, as broadcasters switch sizes.
    @Test(arguments: ["libx264 -preset superfast -bf 3 -pix_fmt yuv420p", "mpeg2video -q:v 4 -bf 2"])
    func sizeChanges(_ codec: String) throws {
        let directory = try DecodeDirectory()
        var bytes = Data()
        for (part, size) in ["320x180", "352x288", "176x144", "320x180"].enumerated() {
            let recording = EncodedRecording(
                "", "part\(part).ts", .init(size: size, seconds: 2), "-c:v \(codec) -output_ts_offset \(100 + 2 * part)"
            )
            bytes += try Data(contentsOf: URL(fileURLWithPath: try recording.make(in: directory)))
        }
        let path = directory.file("whole.ts")
        try bytes.write(to: URL(fileURLWithPath: path))
        let every = try EveryFrame(decoding: path, in: directory)
        #expect(Set(every.frames.map(\.height)) == [144, 180, 288])
        for framesPerSecond in [1.0, 30] {
            let sampled = try SampledFrames(path) { $0.framesPerSecond = framesPerSecond }
            sampled.expect(every.picked(at: framesPerSecond), of: every, at: framesPerSecond)
            sampled.expectWhole(every, notes: ["damaged"], joints: 3)
            #expect(sampled.result.counters.sizeChanges == 3)
        }
    }

    /// What the model takes is made in the worker of the very same pictures.
    @Test(arguments: [1, 2]) func modelImages(_ ratio: Int) throws {
        let directory = try DecodeDirectory()
        let recording = EncodedRecording(
            "", "ts", .init(seconds: 3), "-c:v libx264 -preset superfast -bf 3 -pix_fmt yuv420p")
        let path = try recording.make(in: directory)
        let preprocessing = ImagePreprocessing.clip(side: 56)
        let native = try SampledFrames(path)
        let model = try SampledFrames(path) { $0.output = .model(preprocessing, resolutionRatio: ratio) }
        #expect(native.frames.count == 3)
        #expect(model.frames.map(\.pts) == native.frames.map(\.pts))
        for (small, whole) in zip(model.frames, native.frames) {
            let image = RGBImage(width: whole.width, height: whole.height, pixels: whole.rgb)
            #expect(small.rgb == preprocessing.frameParts(image, ratio: ratio).flatMap(\.pixels))
        }
    }
}
