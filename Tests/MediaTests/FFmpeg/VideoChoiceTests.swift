import Foundation
import Media
import TestSupport
import Testing

/// Which of several video streams is taken: one that moves, then the default one, the largest, the first.
@Suite struct VideoChoiceTests {
    /// A picture's number and its stream are told by the numbers drawn: stream s begins at 1000 · s.
    private static let encoded = Result {
        let directory = try FaultDirectory()
        try NumberedImages.encode(0..<50, to: directory.file("a.mp4"))
        try NumberedImages.encode(1000..<1050, to: directory.file("b.mp4"))
        try NumberedImages.encode(2000..<2050, width: 384, height: 216, to: directory.file("large.mp4"))
        for name in ["cover.jpg", "cover.png"] {
            try NumberedImages.encode(
                3000..<3001, width: 480, height: 270, options: ["-frames:v", "1"], to: directory.file(name))
        }
        return directory
    }

    private static func streams(_ directory: FaultDirectory) throws {
        let from = try encoded.get()
        for name in ["a.mp4", "b.mp4", "large.mp4", "cover.jpg", "cover.png"] {
            try FileManager.default.linkItem(atPath: from.file(name), toPath: directory.file(name))
        }
    }

    private func number(_ frame: Shown?) -> Int? {
        frame.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
    }

    private func mux(_ directory: FaultDirectory, _ inputs: [String], _ options: [String], _ name: String) throws
        -> String
    {
        let from = inputs.flatMap { ["-i", directory.file($0)] } + inputs.indices.flatMap { ["-map", "\($0):v"] }
        try RealTool.ffmpeg(from + ["-c", "copy"] + options + [directory.file(name)])
        return directory.file(name)
    }

    @Test(arguments: ["mp4", "mov", "mkv", "avi", "ts"], ["cover.jpg", "cover.png"])
    func `a single picture comes after a video, whatever its flags say`(container: String, cover: String) throws {
        // AVI has no PNG that players know, MPEG-TS has neither.
        let codec = container == "avi" ? ["-c:v:0", "mjpeg"] : container == "ts" ? ["-c:v:0", "mpeg2video"] : []
        let directory = try FaultDirectory()
        try Self.streams(directory)
        let flags = ["-disposition:v:0", "default", "-disposition:v:1", "default"]
        for inputs in [[cover, "a.mp4"], ["a.mp4", cover]] {
            let place = inputs.firstIndex(of: "a.mp4") ?? 0
            let options = codec.map { $0.replacingOccurrences(of: "v:0", with: "v:\(1 - place)") } + flags
            let outcome = try decode(try mux(directory, inputs, options, "two." + container))
            #expect(outcome.result.info.stream == place, "\(inputs)")
            #expect(outcome.frames.count == 5)
            #expect(number(outcome.frames.last) == 40)
            #expect(outcome.notes.contains("several_video_streams"))
            #expect(outcome.result.status == .complete)
        }
        // It is a video where there is no other; PNG is not decoded as one.
        guard cover == "cover.jpg" || !codec.isEmpty else { return }
        let alone = try decode(try mux(directory, [cover], codec, "one." + container))
        #expect(alone.error == nil)
        #expect(number(alone.frames.first) == 3000)
    }

    @Test(arguments: ["mp4", "mkv", "ts", "avi"])
    func `then the default one, the largest, the first`(container: String) throws {
        let directory = try FaultDirectory()
        try Self.streams(directory)
        // Nothing said of either: ffmpeg's Matroska muxer would mark one.
        var none = ["-disposition:v", "0"]
        if container == "mkv" { none += ["-default_mode", "passthrough"] }
        // The muxer of MP4 marks the first one where none is marked.
        if container == "mp4" { none = ["-disposition:v", "default"] }
        let equal = try decode(try mux(directory, ["a.mp4", "b.mp4"], none, "equal." + container))
        #expect(number(equal.frames.first) == 0)
        for inputs in [["a.mp4", "large.mp4", "b.mp4"], ["large.mp4", "a.mp4"], ["b.mp4", "large.mp4"]] {
            let outcome = try decode(try mux(directory, inputs, none, "sizes." + container))
            #expect(number(outcome.frames.first) == 2000, "\(inputs)")
        }
        guard container == "mp4" || container == "mkv" else { return }
        let marked = ["-disposition:v:0", "0", "-disposition:v:1", "default"]
        let outcome = try decode(try mux(directory, ["large.mp4", "a.mp4", "b.mp4"], marked, "marked." + container))
        #expect(outcome.result.info.stream == 1)
        let chosen = try decode(directory.file("marked." + container)) { $0.stream = 2 }
        #expect(number(chosen.frames.first) == 1000)
        #expect(!chosen.notes.contains("several_video_streams"))
    }

    @Test func `one that cannot be decoded comes last`() throws {
        let directory = try FaultDirectory()
        try Self.streams(directory)
        try RealTool.ffmpeg([
            "-i", directory.file("large.mp4"), "-c:v", "cinepak", directory.file("cinepak.mov"),
        ])
        let path = try mux(
            directory, ["cinepak.mov", "a.mp4"], ["-disposition:v:0", "default", "-disposition:v:1", "0"], "two.mov")
        let outcome = try decode(path)
        #expect(outcome.result.info.stream == 1)
        #expect(outcome.frames.count == 5)
        #expect(try refusal(directory.file("cinepak.mov")) == .unsupportedCodec)
        // Larger than the limit is the same.
        let limited = try decode(try mux(directory, ["large.mp4", "a.mp4"], [], "limit.mp4")) {
            $0.maxPixels = 256 * 144
        }
        #expect(limited.result.info.stream == 1, "\(String(describing: limited.error))")
    }

    @Test func `a fragmented file does not say how many pictures it has`() throws {
        let directory = try FaultDirectory()
        try Self.streams(directory)
        let path = try mux(
            directory, ["cover.jpg", "a.mp4"],
            ["-movflags", "+frag_keyframe+empty_moov", "-disposition:v:0", "default", "-disposition:v:1", "0"],
            "frag.mp4")
        let outcome = try decode(path)
        #expect(outcome.result.info.stream == 1)
        #expect(outcome.frames.count == 5)
    }

    @Test(arguments: [70, 400])
    func `streams that are not video do not count`(subtitles: Int) throws {
        let directory = try FaultDirectory()
        try NumberedImages.encode(0..<30, to: directory.file("base.mp4"))
        let text = try directory.write("s.srt", "1\n00:00:00,000 --> 00:00:02,000\nHello\n")
        let maps = (0..<subtitles).flatMap { _ in ["-map", "1"] }
        try RealTool.ffmpeg(
            ["-i", directory.file("base.mp4"), "-i", text, "-map", "0"] + maps + [
                "-c:v", "copy", "-c:s", "srt", directory.file("many.mkv"),
            ])
        let outcome = try decode(directory.file("many.mkv"))
        #expect(outcome.error == nil, "\(String(describing: outcome.error))")
        #expect(outcome.frames.count == 3)
        #expect(outcome.notes.isEmpty)
    }

    @Test func `more than a thousand streams are refused`() throws {
        let directory = try FaultDirectory()
        // An MP4 of nothing but track headers of sound.
        let track =
            bytes32(8 + 100) + Array("trak".utf8) + bytes32(100) + Array("tkhd".utf8) + bytes32(1)
            + [UInt8](repeating: 0, count: 88)
        let tracks = [UInt8]((0..<1100).map { _ in track }.joined())
        let bytes =
            bytes32(16) + Array("ftypisom".utf8) + bytes32(0) + bytes32(UInt32(8 + tracks.count))
            + Array("moov".utf8) + tracks
        let outcome = try decode(try directory.write("tracks.mp4", bytes))
        #expect([.unsupportedFormat, .damagedHeader].contains(outcome.error?.code))
        #expect(outcome.error?.code != .decoderCrashed)
    }
}
