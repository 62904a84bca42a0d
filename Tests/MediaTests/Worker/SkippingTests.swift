import Foundation
import Media
import TestSupport
import Testing

/// Decoding in part and with several threads gives the frames of decoding every frame with one thread.
@Suite struct SkippingTests {
    @Test(arguments: EncodedRecording.h264) func h264(_ recording: EncodedRecording) throws { try check(recording) }

    @Test(arguments: EncodedRecording.others) func others(_ recording: EncodedRecording) throws { try check(recording) }

    /// Intervals between IDR frames that are decoded side by side, in one recording after another.
    @Test(arguments: [
        "mp4 -c:v libx264 -preset superfast -bf 3 -g 25 -sc_threshold 0",
        "ts -c:v libx264 -preset superfast -bf 2 -g 10 -sc_threshold 0",
        "mkv -c:v libx264 -preset superfast -bf 0 -g 40 -x264-params slices=4",
        "mkv -c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:keyint=20:open-gop=0:bframes=3",
        "mp4 -c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:keyint=25:open-gop=0:repeat-headers=1",
    ]) func `intervals decoded side by side`(encoder: String) throws {
        let directory = try DecodeDirectory()
        let words = encoder.split(separator: " ").map(String.init)
        let path = directory.file("recording." + words[0])
        try MediaTool.ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=20"] + words.dropFirst() + ["-pix_fmt", "yuv420p", path],
            in: directory)
        try compare(path, at: 1, threads: [0, 2, 8], isDamaged: false)
        try compare(path, at: 12.5, threads: [2], isDamaged: false)
    }

    /// A picture parameter set that is sent once applies to all intervals after it: with another offset of the chroma's
    /// quantizer a decoder gives other colors and reports nothing.
    @Test(arguments: [2, 3, 7]) func `parameter sets that are sent once`(changedAt second: Int) throws {
        let directory = try DecodeDirectory()
        func encode(_ name: String, offset: Int, from: Int, until: Int, repeats: Int) throws -> Data {
            let path = directory.file(name)
            try MediaTool.ffmpeg(
                ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=20", "-vf", "trim=\(from):\(until)"]
                    + ["-c:v", "libx264", "-preset", "superfast", "-qp", "30", "-bf", "0", "-g", "25"]
                    + ["-sc_threshold", "0", "-pix_fmt", "yuv420p"]
                    + ["-x264-params", "chroma-qp-offset=\(offset):repeat-headers=\(repeats)", path],
                in: directory)
            return try Data(contentsOf: URL(fileURLWithPath: path))
        }
        var bytes = try encode("a.h264", offset: 0, from: 0, until: second, repeats: 1)
        bytes += try encode("b.h264", offset: 10, from: second, until: second + 1, repeats: 1)
        bytes += try encode("c.h264", offset: 10, from: second + 1, until: 20, repeats: 0)
        let (raw, path) = (directory.file("all.h264"), directory.file("all.mkv"))
        try bytes.write(to: URL(fileURLWithPath: raw))
        try MediaTool.ffmpeg(["-r", "25", "-i", raw, "-c", "copy", path], in: directory)
        try compare(path, at: 1, threads: [0, 2, 8], isDamaged: false)
        let full = try SampledFrames(path) { $0.decodesAll = true }
        #expect(full.result.counters.framesCorrupt + full.result.counters.packetErrors == 0)
        #expect(full.frames.count == 20)
    }

    /// What ends the decoding side by side, or must not: other sets in each interval, intervals of more than 600 packets,
    /// many large frames, times that jump, an end that was cut off.
    @Test(arguments: ["joined.ts", "joined.mkv", "hevc.mkv", "long.mp4", "large.mp4", "jump.ts", "cut.ts", "cut.mkv"])
    func `intervals that are not decoded side by side`(name: String) throws {
        let directory = try DecodeDirectory()
        func encode(_ file: String, _ words: String, size: String = "320x180", seconds: Int = 8) throws -> Data {
            let path = directory.file(file)
            try MediaTool.ffmpeg(
                ["-f", "lavfi", "-i", "testsrc2=s=\(size):r=25:d=\(seconds)"]
                    + words.split(separator: " ").map(String.init) + ["-pix_fmt", "yuv420p", path], in: directory)
            return try Data(contentsOf: URL(fileURLWithPath: path))
        }
        let x264 = "-c:v libx264 -preset superfast -sc_threshold 0 -g 25 "
        let x265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1:keyint=25:open-gop=0:bframes=0"
        let path = directory.file(name)
        switch name {
        case "joined.ts":
            let first = try encode("a.ts", x264 + "-x264-params chroma-qp-offset=0")
            try (first + encode("b.ts", x264 + "-x264-params chroma-qp-offset=10")).write(
                to: URL(fileURLWithPath: path))
        case "joined.mkv", "hevc.mkv":
            let (codec, offset) = name == "hevc.mkv" ? ("hevc", ":cbqpoffs=") : ("h264", "chroma-qp-offset=")
            let words = name == "hevc.mkv" ? x265 : x264 + "-bf 0 -x264-params "
            let raw = directory.file("all." + codec)
            let first = try encode("a." + codec, words + offset + "0")
            try (first + encode("b." + codec, words + offset + "10")).write(to: URL(fileURLWithPath: raw))
            try MediaTool.ffmpeg(["-r", "25", "-i", raw, "-c", "copy", path], in: directory)
        case "long.mp4":
            _ = try encode(
                name, "-c:v libx264 -preset superfast -g 2000 -sc_threshold 0 -force_key_frames 0,1,2,3,33,34",
                seconds: 37)
        case "large.mp4": _ = try encode(name, x264 + "-preset ultrafast", size: "4096x2160", seconds: 3)
        case "jump.ts":
            let first = try encode("a.ts", x264 + "-output_ts_offset 5000")
            try (first + encode("b.ts", x264 + "-output_ts_offset 100")).write(to: URL(fileURLWithPath: path))
        default:
            let whole = try encode("whole." + (name.split(separator: ".").last ?? ""), x264 + "-bf 2", seconds: 20)
            try whole.prefix(whole.count * 7 / 10).write(to: URL(fileURLWithPath: path))
        }
        try compare(path, at: name == "large.mp4" ? 8 : 1, threads: [0, 2, 8], isDamaged: name.hasPrefix("cut"))
    }

    /// A recording that is stopped in the middle, and one of which the first frames are there.
    @Test func `intervals decoded side by side, in part`() throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording.mp4")
        try MediaTool.ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=30", "-c:v", "libx264", "-preset", "superfast"]
                + ["-g", "25", "-pix_fmt", "yuv420p", path], in: directory)
        let whole = try SampledFrames(path)
        #expect(whole.frames.count == 30)
        let first = try SampledFrames(path) { $0.maxFrames = 7 }
        #expect(first.frames.map(\.rgb) == whole.frames.prefix(7).map(\.rgb))
        #expect(first.result.status == .partial)
        let rest = try SampledFrames(path) { $0.firstIndex = 11 }
        #expect(rest.frames.map(\.rgb) == whole.frames.dropFirst(11).map(\.rgb))
        #expect(rest.frames.map(\.index) == Array(11..<30))
    }

    private func check(_ recording: EncodedRecording) throws {
        let directory = try DecodeDirectory()
        let path = try recording.make(in: directory)
        // GridSamplerTests compares other rates, with several threads.
        try compare(path, at: 7, threads: LongRun.isWhole ? [0, 1] : [1], isDamaged: false)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for number in 0..<(LongRun.isWhole ? 12 : 2) {
            var generator = SeededNumbers(state: UInt64(number) &* 977 &+ UInt64(bytes.count))
            var damaged = bytes
            // The header stays, so that there is something to decode.
            for _ in 0..<(1 + 3 * number) {
                damaged[Int.random(in: bytes.count / 5..<bytes.count, using: &generator)] ^= 0x55
            }
            if number % 3 == 1 { damaged.removeLast(bytes.count / 3) }
            let other = directory.file("damaged.\(number)." + recording.container)
            try damaged.write(to: URL(fileURLWithPath: other))
            try compare(other, at: 1, threads: [0], isDamaged: true)
        }
    }

    private func compare(_ path: String, at rate: Double, threads: [Int], isDamaged: Bool) throws {
        let full = Result { try SampledFrames(path) { ($0.decodesAll, $0.framesPerSecond) = (true, rate) } }
        for threads in threads {
            let partial = Result { try SampledFrames(path) { ($0.threads, $0.framesPerSecond) = (threads, rate) } }
            let context = Comment(rawValue: "\(path), \(rate) per second, \(threads) threads")
            switch (full, partial) {
            case (.success(let full), .success(let partial)):
                #expect(partial.frames.map(\.index) == full.frames.map(\.index), context)
                #expect(partial.frames.map(\.pts) == full.frames.map(\.pts), context)
                #expect(partial.frames.map(\.ptsSeconds) == full.frames.map(\.ptsSeconds), context)
                #expect(zip(partial.frames, full.frames).allSatisfy { $0.rgb == $1.rgb }, context)
                // Damage in frames that are not decoded is not reported.
                guard !isDamaged else { continue }
                #expect(partial.result.status == full.result.status, context)
                #expect(partial.result.notes == full.result.notes, context)
                #expect(partial.result.coveredSeconds == full.result.coveredSeconds, context)
                #expect(partial.result.info == full.result.info, context)
            case (.failure(let full), .failure(let partial)):
                #expect((partial as? MediaError)?.code == (full as? MediaError)?.code, context)
            default: Issue.record("only one of both is refused: \(full), \(partial)")
            }
        }
    }

    /// One frame per second of 25 needs few of those between.
    @Test func framesThatNoSampleNeedsAreNotDecoded() throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording.mp4")
        try MediaTool.ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=20", "-c:v", "libx264", "-preset", "superfast"]
                + ["-bf", "3", "-g", "50", "-sc_threshold", "0", "-pix_fmt", "yuv420p", path], in: directory)
        let dense = try SampledFrames(path).result.counters
        #expect(dense.framesDecoded + dense.framesSkipped == 500)
        #expect(dense.framesSkipped > 100)
        let sparse = try SampledFrames(path) { $0.framesPerSecond = 0.1 }.result.counters
        #expect(sparse.framesDecoded < 200)
        #expect(sparse.framesSampled == 2)
        #expect(try SampledFrames(path) { $0.decodesAll = true }.result.counters.framesSkipped == 0)
    }

    /// Damage that is noticed late starts over once: frames already sent stay, the others are those of one thread.
    @Test func damageStartsOverOnce() throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording.mkv")
        try MediaTool.ffmpeg(
            ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=20", "-c:v", "libx264", "-preset", "superfast"]
                + ["-bf", "0", "-g", "50", "-pix_fmt", "yuv420p", path], in: directory)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for part in [6, 7, 8, 9] {
            for at in 0..<200 { bytes[bytes.count * part / 10 + at] ^= 0x55 }
        }
        try bytes.write(to: URL(fileURLWithPath: path))
        let full = try SampledFrames(path) { $0.decodesAll = true }
        let partial = try SampledFrames(path)
        #expect(full.result.counters.packetErrors + full.result.counters.framesCorrupt > 0)
        #expect(partial.frames.map(\.rgb) == full.frames.map(\.rgb))
        // The second attempt decodes everything, so its result is that of decoding in full.
        #expect(partial.result.counters == full.result.counters)
        #expect(partial.result.notes == full.result.notes)
    }
}
