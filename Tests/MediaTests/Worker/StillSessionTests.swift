import Foundation
import Media
import TestSupport
import Testing

/// Single pictures by seeking: the same bytes as in a pass over the whole file, for a fraction of the work.
@Suite struct StillSessionTests {
    struct Kind: CustomTestStringConvertible, Sendable {
        let container: String
        let options: [String]
        /// Whether every picture must be found by seeking; else those that come must be right.
        var all = true
        /// Whether the file loses its table of key frames: the container then calls every packet one.
        var losesKeys = false
        var testDescription: String {
            "\(container) \(options.joined(separator: " "))\(losesKeys ? " without its key frames" : "")"
        }
    }

    private static let x264 = ["-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p"]
    private static let kinds = [
        Kind(container: "mp4", options: x264 + ["-bf", "3", "-g", "60"]),
        Kind(container: "mp4", options: x264 + ["-bf", "3", "-g", "60", "-x264-params", "open-gop=1"]),
        Kind(container: "mkv", options: x264 + ["-bf", "2", "-g", "60"]),
        Kind(container: "ts", options: x264 + ["-bf", "2", "-g", "60"]),
        Kind(container: "ts", options: x264 + ["-bf", "2", "-g", "60", "-x264-params", "open-gop=1"], all: false),
        Kind(container: "mpg", options: ["-c:v", "mpeg2video", "-q:v", "4", "-bf", "2", "-g", "15"], all: false),
        Kind(container: "flv", options: x264 + ["-bf", "2", "-g", "60"]),
        Kind(container: "avi", options: ["-c:v", "mpeg4", "-q:v", "4", "-bf", "2", "-g", "60"], all: false),
        Kind(container: "webm", options: ["-c:v", "libvpx", "-b:v", "400k", "-g", "60", "-deadline", "realtime"]),
        Kind(
            container: "mkv",
            options: ["-c:v", "libx265", "-preset", "ultrafast", "-g", "60", "-x265-params", "log-level=error"]),
        Kind(
            container: "mp4", options: ["-c:v", "mpeg4", "-q:v", "4", "-bf", "0", "-g", "60"], all: false,
            losesKeys: true),
        Kind(container: "mp4", options: x264 + ["-bf", "2", "-g", "60"], all: false, losesKeys: true),
        Kind(container: "mov", options: x264 + ["-bf", "0", "-intra-refresh", "1", "-g", "60"], all: false),
    ]

    @Test(arguments: kinds) func seekingFindsTheSameImages(_ kind: Kind) throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording." + kind.container)
        // 40 s at 10 per second; MPEG-1 and 2 know no such rate.
        let rate = kind.container == "mpg" ? "25" : "10"
        let count = kind.container == "mpg" ? 1000 : 400
        try NumberedImages.encode(0..<count, width: 128, height: 80, rate: rate, options: kind.options, to: path)
        if kind.losesKeys {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let table = try #require(bytes.firstRange(of: Data("stss".utf8)))
            bytes.replaceSubrange(table, with: Data("free".utf8))
            try bytes.write(to: URL(fileURLWithPath: path))
        }
        let whole = try SampledFrames(path)
        #expect(whole.frames.count == 40)
        let wanted = [0, 3, 17, 18, 31, 39]
        let found = try SampledFrames(path) { request in
            request.stills = wanted.map { FrameRequest.Still(index: $0, pts: whole.frames[$0].pts) }
        }
        if kind.all { #expect(found.frames.map(\.index) == wanted) }
        for frame in found.frames {
            let same = whole.frames[frame.index]
            #expect(frame.rgb == same.rgb && frame.width == same.width, "frame \(frame.index)")
            let number = NumberedImages.number(rgb: frame.rgb, width: frame.width, height: frame.height)
            let second = kind.container == "mpg" ? 25 : 10
            #expect(number == frame.index * second, "frame \(frame.index) shows \(number)")
        }
        // At most a group of pictures for each, and a few that the decoder held back.
        if kind.all { #expect(found.result.counters.framesDecoded <= wanted.count * 70) }
    }

    /// A time that no frame has, and one that another frame of a joined recording has.
    @Test func whatIsNotThereIsNotSent() throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording.mp4")
        try NumberedImages.encode(0..<100, width: 128, height: 80, to: path)
        let whole = try SampledFrames(path)
        let found = try SampledFrames(path) { request in
            request.stills = [
                FrameRequest.Still(index: 1, pts: whole.frames[1].pts + 1),
                FrameRequest.Still(index: 2, pts: whole.frames[2].pts),
                FrameRequest.Still(index: 3, pts: .max), FrameRequest.Still(index: 4, pts: .min),
            ]
        }
        #expect(found.frames.map(\.index) == [2])
    }
}
