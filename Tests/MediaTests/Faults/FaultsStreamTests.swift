import Foundation
import Testing

import Media

/// Streams: none, several, damaged, changing, endless, encrypted, by the thousand.
@Suite struct FaultsStreamTests {
    @Test func f19NoVideo() throws {
        let directory = try FaultDirectory()
        let tone = "sine=frequency=440:duration=2"
        for name in ["a.m4a", "a.mp4", "a.mkv", "a.ogg"] {
            let codec = name == "a.ogg" ? "flac" : "aac"
            let path = try directory.ffmpeg("-f", "lavfi", "-i", tone, "-c:a", codec, name)
            #expect(try refusal(path) == .noVideoStream, "\(name)")
        }
        let wave = try directory.ffmpeg("-f", "lavfi", "-i", tone, "a.wav")
        #expect(try refusal(wave) == .unsupportedFormat)
        // Cover art is a video stream by name only.
        try directory.ffmpeg("-f", "lavfi", "-i", "color=red:s=32x32:d=1", "-frames:v", "1", "cover.jpg")
        let m4a = try directory.ffmpeg(
            "-f", "lavfi", "-i", tone, "-i", directory.file("cover.jpg"), "-map", "0", "-map", "1", "-c:v", "copy",
            "-c:a", "aac",
            "-disposition:v:0", "attached_pic", "cover.m4a")
        let outcome = try decode(m4a)
        #expect(outcome.error?.code == .noVideoStream)
        #expect(outcome.error?.message.contains("cover art") == true)
        let mkv = try directory.ffmpeg(
            "-f", "lavfi", "-i", tone, "-attach", directory.file("cover.jpg"), "-metadata:s:t", "mimetype=image/jpeg",
            "-c:a", "aac",
            "cover.mkv")
        #expect(try refusal(mkv) == .noVideoStream)
    }

    @Test func f20SeveralVideoStreams() throws {
        let directory = try FaultDirectory()
        let two = [
            "-f", "lavfi", "-i", "color=red:s=64x48:r=5:d=2", "-f", "lavfi", "-i", "color=blue:s=128x96:r=5:d=2",
            "-map", "0:v",
            "-map", "1:v", "-c:v", "libx264",
        ]
        func clip(_ name: String, _ options: [String]) throws -> String {
            let path = directory.file(name)
            let words = ["60", "ffmpeg", "-nostdin", "-v", "error", "-y"] + two + options + [path]
            #expect(try runTool("timeout", words) == 0)
            return path
        }
        // Nothing said: the larger one.
        let equal = try decode(
            clip("equal.mkv", ["-disposition:v:0", "0", "-disposition:v:1", "0", "-default_mode", "passthrough"]))
        #expect(equal.frames.first?.corners == ["blue", "blue", "blue", "blue"])
        #expect(equal.notes.contains("several_video_streams"))
        // The one that is marked, small as it is.
        let path = try clip(
            "marked.mkv", ["-disposition:v:0", "default", "-disposition:v:1", "0", "-default_mode", "passthrough"])
        let marked = try decode(path)
        #expect(marked.frames.first?.width == 64)
        #expect(marked.result.info.stream == 0)
        let chosen = try decode(path) { $0.stream = 1 }
        #expect(chosen.frames.first?.width == 128)
        #expect(chosen.result.info.stream == 1)
        #expect(!chosen.notes.contains("several_video_streams"))
        for wrong in [2, -1, Int.max, Int.min] { #expect(try refusal(path) { $0.stream = wrong } == .noSuchStream) }
        #expect(try decode(clip("two.ts", [])).frames.count == 2)
    }

    @Test func f21DamageInTheMiddle() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp("whole.mp4", seconds: 20, rate: 5, "-movflags", "+faststart")
        let whole = try directory.read("whole.mp4")
        let clean = try decode(path)
        #expect(clean.result.counters.packets == 100)
        let media = try #require(whole.positions(of: "mdat").last) + 4
        let length = whole.count - media
        func damaged(from: Double, to: Double) throws -> Outcome {
            var bytes = whole
            let range = (media + Int(Double(length) * from))..<(media + Int(Double(length) * to))
            for place in range { bytes[place] ^= 0xA5 }
            return try decode(try directory.write("damaged.mp4", bytes))
        }
        let few = try damaged(from: 0.5, to: 0.52)
        #expect(few.error == nil)
        #expect(few.result.counters.packetErrors + few.result.counters.framesCorrupt > 0)
        #expect(few.notes.contains("damaged"))
        #expect(few.result.status == .complete)
        #expect(few.frames.count == 20)
        #expect(few.frames.suffix(8).map(\.rgb) == clean.frames.suffix(8).map(\.rgb))
        #expect(few.frames.prefix(9).map(\.rgb) == clean.frames.prefix(9).map(\.rgb))
        let many = try damaged(from: 0.3, to: 0.6)
        #expect(many.error == nil)
        #expect(many.result.status == .partial)
        #expect(many.frames.suffix(6).map(\.rgb) == clean.frames.suffix(6).map(\.rgb))
        // The same to a transport stream, whose packets can be lost whole.
        try directory.ramp("whole.ts", seconds: 20, rate: 5)
        var stream = try directory.read("whole.ts")
        let start = stream.count / 188 / 2 * 188
        stream.removeSubrange(start..<(start + 188 * 5))
        let lost = try decode(try directory.write("lost.ts", stream))
        #expect(lost.error == nil)
        #expect((19...21).contains(lost.frames.count))
        #expect(lost.ordinals.suffix(5) == clean.ordinals.suffix(5))
        // All of it: no frame, one error.
        var noise = whole
        for place in media..<whole.count { noise[place] ^= UInt8(truncatingIfNeeded: place &* 167 | 1) }
        let outcome = try decode(try directory.write("noise.mp4", noise))
        #expect(outcome.error?.code == .nothingDecoded || outcome.result.status == .partial)
    }

    @Test func f22PicturesThatChangeTheirSize() throws {
        let directory = try FaultDirectory()
        for (name, size) in [("a.ts", "1280x720"), ("b.ts", "1024x576")] {
            try directory.ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=s=\(size):r=2:d=1", "-c:v", "libx264", "-preset", "ultrafast", "-tune",
                "zerolatency", "-threads", "1", name)
        }
        let pair = try directory.read("a.ts") + directory.read("b.ts")
        var bytes: [UInt8] = []
        for _ in 0..<75 { bytes += pair }
        // A scaler and its buffer take 3 MB: a hundred leaked ones would not fit.
        let outcome = try decode(try directory.write("many.ts", bytes), keep: 20) { $0.memoryLimit = 512 << 20 }
        #expect(outcome.error == nil, "\(String(describing: outcome.error))")
        #expect(!outcome.notes.contains("decoder_crashed"), "\(outcome.result.notes)")
        #expect(outcome.result.counters.sizeChanges >= 100, "\(outcome.result.counters)")
        #expect(Set(outcome.frames.map(\.width)) == [1280, 1024])
        #expect(outcome.result.counters.framesDecoded >= 280)
        // The limit holds for every picture, not only for the first.
        let small = try directory.read("b.ts") + directory.read("a.ts") + directory.read("b.ts")
        let limited = try decode(try directory.write("limit.ts", small)) { $0.maxPixels = 1024 * 576 }
        #expect(limited.error != nil || limited.frames.allSatisfy { $0.width == 1024 })
        #expect(limited.error != nil || limited.result.status == .partial)
    }

    @Test func f26ManyStreams() throws {
        let directory = try FaultDirectory()
        let source = try directory.ramp("one.mkv", seconds: 2)
        let path = directory.file("hundred.mkv")
        let maps = (0..<100).flatMap { _ in ["-map", "0:v"] }
        let words = ["60", "ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source] + maps + ["-c", "copy", path]
        #expect(try runTool("timeout", words) == 0)
        let outcome = try decode(path)
        #expect(outcome.error?.code == .unsupportedFormat)
        #expect(outcome.error?.message.contains("100 video streams, the limit is 64") == true)
    }

    @Test func f26BombsOfMetadataAndCounts() throws {
        let directory = try FaultDirectory()
        let source = try directory.ramp("one.mp4", seconds: 2)
        var tags = ";FFMETADATA1\n"
        for number in 0..<20_000 { tags += "key\(number)=\(String(repeating: "x", count: 50))\n" }
        for number in 0..<3000 {
            tags += "[CHAPTER]\nTIMEBASE=1/1000\nSTART=\(number)\nEND=\(number + 1)\ntitle=\(number)\n"
        }
        let meta = try directory.write("tags.txt", tags)
        let path = try directory.ffmpeg(
            "-i", source, "-f", "ffmetadata", "-i", meta, "-map", "0", "-map_metadata", "1", "-map_chapters", "1", "-c",
            "copy", "tags.mkv")
        #expect(try decode(path).frames.count == 2)
        // Boxes within boxes.
        let ftyp = bytes32(16) + Array("ftypisom".utf8) + bytes32(0)
        for name in ["trak", "udta", "moov"] {
            var nested: [UInt8] = ftyp + bytes32(8 * 20_001) + Array("moov".utf8)
            for depth in 0..<20_000 { nested += bytes32(UInt32(8 * (20_000 - depth))) + Array(name.utf8) }
            let code = try refusal(try directory.write("nested.mp4", nested))
            #expect(code == .damagedHeader || code == .noVideoStream, "\(name) \(String(describing: code))")
        }
        var traks: [UInt8] = ftyp + bytes32(8 + 8 * 5000) + Array("moov".utf8)
        for _ in 0..<5000 { traks += bytes32(8) + Array("trak".utf8) }
        #expect(try refusal(try directory.write("traks.mp4", traks)) != nil)
        // Tables that claim two thousand million entries.
        let whole = try directory.read("one.mp4")
        for name in ["stsz", "stts", "stsc", "stco", "elst", "ctts", "stss", "stsd", "dref"] {
            guard let box = whole.positions(of: name).first else { continue }
            for count in [UInt32(0x7FFF_FFFF), .max, 0x1000_0000] {
                var bytes = whole
                bytes.put(bytes32(count), at: box + (name == "stsz" ? 12 : 8))
                let outcome = try decode(try directory.write("count.mp4", bytes)) { $0.memoryLimit = 1 << 30 }
                #expect(
                    outcome.error?.code != .decoderCrashed && outcome.error?.code != .decoderStuck, "\(name) \(count)")
                #expect(!outcome.notes.contains("decoder_crashed"), "\(name) \(count)")
                #expect(outcome.frames.count <= 2, "\(name) \(count)")
            }
        }
        // A decoder configuration as long as a film.
        try directory.ramp("one.mkv", seconds: 2)
        var matroska = try directory.read("one.mkv")
        let configuration = try #require(matroska.positions(of: [0x63, 0xA2]).first)
        matroska.put([0x10, 0xFF, 0xFF, 0xFF], at: configuration + 2)
        let outcome = try decode(try directory.write("private.mkv", matroska)) { $0.memoryLimit = 1 << 30 }
        #expect(outcome.error?.code != .decoderCrashed && outcome.error != nil)
    }

    @Test func f27LimitsOfLengthAndNumber() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp("a.mp4", seconds: 10)
        let short = try decode(path) { $0.maxDuration = 4 }
        #expect(short.ordinals == [0, 10, 20, 30])
        #expect(short.result.status == .partial)
        #expect(short.notes.contains("max_duration"))
        #expect(short.result.coveredSeconds <= 5, "\(short.result.coveredSeconds)")
        let few = try decode(path) { $0.maxFrames = 3 }
        #expect(few.ordinals == [0, 10, 20])
        #expect(few.result.status == .partial)
        #expect(few.notes.contains("max_frames"))
        // A file of some kilobytes with days in it: one picture an hour, each shown for an hour.
        let days = try directory.ffmpeg(
            "-f", "lavfi", "-i", "color=gray:s=16x16:r=1/3600:d=1000000", "-c:v", "mpeg4", "days.mkv")
        let outcome = try decode(days, keep: 1) { $0.framesPerSecond = 1.0 / 60 }
        #expect(outcome.result.status == .partial)
        #expect(outcome.notes.contains("max_duration"))
        #expect(outcome.result.counters.framesSampled == 24 * 60)
    }

    @Test func f30Encrypted() throws {
        let directory = try FaultDirectory()
        let source = try directory.ramp("a.mp4", seconds: 3)
        let key = "00112233445566778899aabbccddeeff"
        let path = try directory.ffmpeg(
            "-i", source, "-c", "copy", "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid",
            key,
            "locked.mp4")
        #expect(try refusal(path) == .encrypted)
        let locked = try directory.read("locked.mp4")
        #expect(!locked.positions(of: "encv").isEmpty)
    }
}
