import Foundation
import Media
import TestSupport
import Testing

/// The chosen video ends and another video of the same file goes on: all of it, or `partial` with the reason.
@Suite struct StreamPlanTests {
    /// Ten pictures a second; each piece begins with the number after the last of the one before.
    private static let encoded = Result {
        let directory = try FaultDirectory()
        let x264 = ["-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-g", "20", "-bf", "0"]
        let mpeg2 = ["-c:v", "mpeg2video", "-q:v", "3", "-pix_fmt", "yuv420p"]
        try NumberedImages.encode(0..<80, options: x264, to: directory.file("a.mp4"))
        try NumberedImages.encode(80..<160, options: x264, to: directory.file("b.mp4"))
        try NumberedImages.encode(160..<240, options: x264, to: directory.file("c.mp4"))
        try NumberedImages.encode(80..<160, width: 320, height: 240, options: x264, to: directory.file("b-size.mp4"))
        try NumberedImages.encode(
            80..<160, width: 320, height: 240, options: mpeg2, to: directory.file("b-mpeg2.mp4"))
        try NumberedImages.encode(0..<160, options: x264, to: directory.file("long.mp4"))
        return directory
    }

    private func source(_ name: String) throws -> String { try Self.encoded.get().file(name) }

    /// A transport stream of one piece, with sound beside it.
    private func transport(
        _ directory: FaultDirectory, _ name: String, pid: Int, at offset: Int = 0, program: Int = 1, table: Int = 0x1000
    ) throws -> [UInt8] {
        let path = directory.file("piece.ts")
        try RealTool.ffmpeg([
            "-i", source(name), "-f", "lavfi", "-i", "sine=220:r=48000:d=8", "-map", "0", "-map", "1", "-c:v", "copy",
            "-c:a", "mp2", "-streamid", "0:\(pid)", "-streamid", "1:\(pid + 1)", "-mpegts_service_id", "\(program)",
            "-mpegts_pmt_start_pid", "\(table)", "-output_ts_offset", "\(offset)", path,
        ])
        return try directory.read("piece.ts")
    }

    private func numbers(_ outcome: Outcome) -> [Int] {
        outcome.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
    }

    private func expectAll(_ outcome: Outcome, seconds: Int, _ said: Comment? = nil) {
        #expect(outcome.error == nil, said)
        #expect(outcome.frames.count == seconds, said)
        let wrong = numbers(outcome).enumerated().filter { abs($1 - 10 * $0) > 1 }
        #expect(wrong.isEmpty, "\(wrong.map { "\($0.offset) s: \($0.element)" })")
        #expect(outcome.result.status == .complete, "\(outcome.result.notes)")
    }

    @Test(arguments: ["b.mp4", "b-size.mp4", "b-mpeg2.mp4"], ["pid", "program", "restart"])
    func `a transport stream goes on under another PID`(second: String, kind: String) throws {
        let directory = try FaultDirectory()
        let first = try transport(directory, "a.mp4", pid: 256)
        let next =
            switch kind {
            case "pid": try transport(directory, second, pid: 273, at: 8)
            case "program": try transport(directory, second, pid: 273, at: 8, program: 7, table: 0x300)
            default: try transport(directory, second, pid: 273)
            }
        let outcome = try decode(try directory.write("two.ts", first + next))
        expectAll(outcome, seconds: 16)
        #expect(outcome.notes.contains("stream_followed"))
        #expect(outcome.result.counters.sizeChanges == (second == "b.mp4" ? 0 : 1))
        // What is asked for by its number is taken alone.
        let alone = try decode(directory.file("two.ts")) { $0.stream = 0 }
        #expect(numbers(alone).count == 8)
        #expect(alone.notes.contains("stream_ended"))
    }

    @Test func `the reported one, whose second part begins before the first one ends`() throws {
        let directory = try FaultDirectory()
        let base = directory.file("base60.mp4")
        try NumberedImages.encode(
            0..<600,
            options: ["-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "20"],
            to: base)
        try RealTool.ffmpeg(["-i", base, "-c", "copy", "-t", "30", directory.file("h1.ts")])
        try RealTool.ffmpeg([
            "-ss", "30", "-i", base, "-c", "copy", "-streamid", "0:273", "-output_ts_offset", "30",
            directory.file("h2.ts"),
        ])
        let bytes = try directory.read("h1.ts") + directory.read("h2.ts")
        expectAll(try decode(try directory.write("pid.ts", bytes)), seconds: 60)
    }

    @Test func `three streams in turn, and back to the first`() throws {
        let directory = try FaultDirectory()
        let (first, second) = (
            try transport(directory, "a.mp4", pid: 256), try transport(directory, "b.mp4", pid: 273, at: 8)
        )
        for pid in [290, 256] {
            let third = try transport(directory, "c.mp4", pid: pid, at: 16)
            let outcome = try decode(try directory.write("three.ts", first + second + third))
            expectAll(outcome, seconds: 24)
        }
        // More often than the limit: what is not decoded is said.
        var bytes: [UInt8] = []
        for turn in 0..<18 { bytes += try transport(directory, "a.mp4", pid: turn % 2 == 0 ? 256 : 273, at: turn * 8) }
        let often = try decode(try directory.write("often.ts", bytes))
        #expect(often.result.status == .partial)
        #expect(often.notes.contains("stream_ended"))
        #expect(often.frames.count == 16 * 8)
    }

    @Test(arguments: ["b.mp4", "b-size.mp4", "b-mpeg2.mp4"], ["mkv", "mp4", "mov", "frag.mp4", "swapped.mp4", "asf"])
    func `a second track begins where the first one ends`(second: String, kind: String) throws {
        let directory = try FaultDirectory()
        // The muxer gives a fragmented track's first picture the time 0: the larger one would be shown from there.
        guard kind != "frag.mp4" || second == "b.mp4" else { return }
        let path = directory.file("two." + kind)
        let fragmented = kind == "frag.mp4" ? ["-movflags", "+frag_keyframe+empty_moov"] : []
        let order = kind == "swapped.mp4" ? ["-map", "1", "-map", "0"] : ["-map", "0", "-map", "1"]
        let codec = kind == "asf" ? ["-c:v", "msmpeg4v2", "-q:v", "3"] : ["-c", "copy"]
        try RealTool.ffmpeg(
            ["-i", source("a.mp4"), "-itsoffset", "8", "-i", source(second)] + order + codec + [
                "-vsync", "passthrough",
            ]
                + fragmented + [path])
        expectAll(try decode(path), seconds: 16)
    }

    @Test(arguments: [0, 8])
    func `a program stream goes on under another id`(offset: Int) throws {
        let directory = try FaultDirectory()
        for (name, start) in [("a.mp4", 0), ("b.mp4", offset)] {
            try RealTool.ffmpeg([
                "-i", source(name), "-r", "25", "-c:v", "mpeg2video", "-q:v", "3", "-f", "mpeg", "-output_ts_offset",
                "\(start)", directory.file(name + ".mpg"),
            ])
        }
        var second = try directory.read("b.mp4.mpg")
        for place in second.positions(of: [0, 0, 1, 0xE0]) { second[place + 3] = 0xE1 }
        let outcome = try decode(try directory.write("two.mpg", try directory.read("a.mp4.mpg") + second))
        #expect(outcome.frames.count == 16)
        // The muxer begins half a second into its clock.
        #expect(zip(numbers(outcome), 0...).allSatisfy { abs($0 - 10 * $1) <= 6 }, "\(numbers(outcome))")
        #expect(outcome.result.status == .complete)
        #expect(outcome.notes.contains("stream_followed"))
    }

    @Test func `a chained Ogg goes on`() throws {
        let directory = try FaultDirectory()
        var bytes: [UInt8] = []
        for name in ["a.mp4", "b-size.mp4"] {
            try RealTool.ffmpeg(["-i", source(name), "-c:v", "libtheora", "-q:v", "8", directory.file("piece.ogv")])
            bytes += try directory.read("piece.ogv")
        }
        let outcome = try decode(try directory.write("chain.ogv", bytes))
        // libavformat has no times for the first pictures of a chained stream.
        #expect((16...17).contains(outcome.frames.count))
        #expect(zip(numbers(outcome), 0...).allSatisfy { abs($0 - 10 * $1) <= 4 }, "\(numbers(outcome))")
        #expect(outcome.result.status == .complete)
        #expect(outcome.notes.contains("discontinuity"))
    }

    @Test(arguments: ["mkv", "mp4", "ts", "mov"])
    func `streams beside each other stay apart`(container: String) throws {
        let directory = try FaultDirectory()
        let path = directory.file("two." + container)
        func mux(_ first: String, _ second: String) throws -> Outcome {
            try RealTool.ffmpeg([
                "-i", source(first), "-i", source(second), "-map", "0", "-map", "1", "-c", "copy", path,
            ])
            return try decode(path)
        }
        let equal = try mux("a.mp4", "b.mp4")
        expectAll(equal, seconds: 8)
        #expect(equal.notes == ["several_video_streams"])
        // The other one is longer: it is another picture, and what was not decoded is said.
        let shorter = try mux("a.mp4", "long.mp4")
        #expect(shorter.frames.count == 8)
        #expect(shorter.result.status == .partial)
        #expect(shorter.notes == ["several_video_streams", "stream_ended"])
        // The chosen one is longer: nothing is missing.
        expectAll(try mux("long.mp4", "b.mp4"), seconds: 16)
    }

    @Test func `a stream of few pictures is not away between them`() throws {
        let directory = try FaultDirectory()
        try NumberedImages.encode(0..<3, rate: "1/5", to: directory.file("slow.mp4"))
        for container in ["mkv", "mp4", "ts"] {
            let path = directory.file("slow." + container + "." + container)
            try RealTool.ffmpeg([
                "-i", directory.file("slow.mp4"), "-i", source("long.mp4"), "-map", "0", "-map", "1", "-c", "copy",
                "-disposition:v:0", "default", "-disposition:v:1", "0", path,
            ])
            let outcome = try decode(path)
            #expect(outcome.result.info.stream == 0)
            #expect(numbers(outcome).prefix(15) == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2], "\(container)")
            #expect(!outcome.notes.contains("stream_followed"))
        }
    }

    @Test func `what cannot be decoded is said`() throws {
        let directory = try FaultDirectory()
        // Its headers are in the MP4 alone: the transport stream has none.
        try NumberedImages.encode(
            80..<160, options: ["-c:v", "mpeg4", "-q:v", "3", "-flags", "+global_header"], to: directory.file("b.mp4"))
        try RealTool.ffmpeg([
            "-i", directory.file("b.mp4"), "-c", "copy", "-streamid", "0:273", "-output_ts_offset", "8",
            directory.file("b.ts"),
        ])
        let bytes = try transport(directory, "a.mp4", pid: 256) + directory.read("b.ts")
        let outcome = try decode(try directory.write("two.ts", bytes))
        #expect(outcome.frames.count == 8)
        #expect(outcome.result.status == .partial)
        #expect(outcome.notes.contains("stream_ended"))
    }

    @Test(arguments: ["mp4", "mov", "flv", "mkv+mp4", "ts+mp4", "mp4+ts"])
    func `a recording behind the end of another one is said`(kinds: String) throws {
        let directory = try FaultDirectory()
        let parts = kinds.split(separator: "+").map(String.init)
        for (name, container) in [("a.mp4", parts[0]), ("b.mp4", parts[parts.count - 1])] {
            try RealTool.ffmpeg(["-i", source(name), "-c", "copy", directory.file(name + "." + container)])
        }
        let first = try directory.read("a.mp4." + parts[0])
        let whole = try decode(try directory.write("one." + parts[0], first))
        expectAll(whole, seconds: 8)
        let bytes = try first + directory.read("b.mp4." + parts[parts.count - 1])
        let outcome = try decode(try directory.write("two." + parts[0], bytes))
        #expect(outcome.frames.count == 8)
        #expect(outcome.result.status == .partial)
        let note = outcome.result.notes.first { $0.code == "another_recording" }
        #expect(note?.message.contains("at byte \(first.count) ") == true, "\(outcome.result.notes)")
    }
}
