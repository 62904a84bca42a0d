import Foundation
import Media
import TestSupport
import Testing

/// The program table of a transport stream gives a PID another codec: all pictures, or `partial` with the reason.
@Suite struct ProgramTablesTests {
    private static let encoded = Result {
        let directory = try FaultDirectory()
        for (name, codec) in [
            ("h264", ["-c:v", "libx264", "-preset", "superfast", "-bf", "0", "-g", "20"]),
            ("mpeg2", ["-c:v", "mpeg2video", "-q:v", "3", "-r", "25"]),
            ("hevc", ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:bframes=0"]),
            ("mpeg4", ["-c:v", "mpeg4", "-q:v", "3"]),
        ] {
            for part in 0..<3 {
                try NumberedImages.encode(
                    part * 60..<part * 60 + 60, width: 128, height: 96, options: ["-pix_fmt", "yuv420p"] + codec,
                    to: directory.file("\(name)-\(part).ts"))
            }
        }
        return directory
    }

    private func part(_ directory: FaultDirectory, _ codec: String, _ part: Int, at offset: Int) throws -> [UInt8] {
        try RealTool.ffmpeg([
            "-i", try Self.encoded.get().file("\(codec)-\(part).ts"), "-f", "lavfi", "-i", "sine=d=6", "-map", "0",
            "-map", "1", "-c:v", "copy", "-c:a", "mp2", "-output_ts_offset", "\(offset)", directory.file("part.ts"),
        ])
        return try directory.read("part.ts")
    }

    private func expectAll(_ outcome: Outcome, seconds: Int, _ said: Comment) {
        let numbers = outcome.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
        #expect(numbers.count == seconds, said)
        let wrong = numbers.enumerated().filter { abs($1 - 10 * $0) > 1 }
        #expect(wrong.isEmpty, "\(said): \(wrong.map { "\($0.offset) s: \($0.element)" })")
        #expect(outcome.result.status == .complete, "\(said): \(outcome.result.notes)")
        #expect(outcome.notes.contains("codec_changed"), said)
    }

    @Test(
        arguments: [
            ["h264", "mpeg2"], ["mpeg2", "h264"], ["h264", "hevc"], ["hevc", "h264"], ["mpeg2", "mpeg4"],
            ["h264", "mpeg2", "h264"], ["mpeg2", "hevc", "mpeg4"],
        ], [true, false])
    func `the codec of a PID changes`(codecs: [String], goesOn: Bool) throws {
        let directory = try FaultDirectory()
        var bytes: [UInt8] = []
        for (index, codec) in codecs.enumerated() {
            bytes += try part(directory, codec, index, at: goesOn ? index * 6 : 0)
        }
        let outcome = try decode(try directory.write("changes.ts", bytes))
        expectAll(outcome, seconds: 6 * codecs.count, "\(codecs), \(goesOn)")
        #expect(outcome.notes.contains("discontinuity") == !goesOn)
    }

    /// Packets of 192 and 204 bytes, and a beginning that is none.
    @Test(arguments: [192, 204]) func `packets of another length`(stride: Int) throws {
        let directory = try FaultDirectory()
        let bytes = try part(directory, "mpeg2", 0, at: 0) + part(directory, "h264", 1, at: 6)
        let filler = [UInt8](repeating: 0x11, count: stride - 188)
        var packets: [UInt8] = stride == 204 ? [1, 2, 3, 0x47, 5] : []
        for at in Swift.stride(from: 0, to: bytes.count, by: 188) {
            packets += (stride == 192 ? filler : []) + bytes[at..<at + 188] + (stride == 204 ? filler : [])
        }
        let outcome = try decode(try directory.write("changes.m2ts", packets))
        expectAll(outcome, seconds: 12, "\(stride)")
    }

    @Test func `what follows cannot be decoded, or is not looked at`() throws {
        let directory = try FaultDirectory()
        let bytes = try part(directory, "h264", 0, at: 0) + part(directory, "mpeg2", 1, at: 6)
        let path = try directory.write("changes.ts", bytes)
        let reference = try decode(path) { $0.sampling = .reference }
        #expect(reference.result.status == .partial)
        #expect(reference.notes.contains("stream_ended"))
        // Cut off where the second part's first pictures begin.
        let cut = try part(directory, "h264", 0, at: 0) + part(directory, "mpeg2", 1, at: 6).prefix(188 * 4)
        let short = try decode(try directory.write("cut.ts", cut))
        #expect(short.frames.count == 6)
        #expect(short.result.status == .partial)
        #expect(short.notes.contains("stream_ended"), "\(short.result.notes)")
    }

    /// A program stream has no table: another codec under the same number.
    @Test func `data of another codec behind the first one's`() throws {
        let directory = try FaultDirectory()
        for codec in ["h264", "hevc"] {
            try RealTool.ffmpeg([
                "-i", try Self.encoded.get().file("\(codec)-0.ts"), "-c", "copy", "-streamid", "0:256",
                directory.file(codec + ".ts"),
            ])
        }
        // The tables of the second part are taken out.
        let second = try directory.read("hevc.ts")
        let media = stride(from: 0, to: second.count, by: 188).filter {
            second[$0 + 1] & 31 == 1 && second[$0 + 2] == 0
        }
        let bytes = try directory.read("h264.ts") + media.flatMap { second[$0..<$0 + 188] }
        let outcome = try decode(try directory.write("silent.ts", bytes))
        #expect(outcome.frames.count == 6)
        #expect(outcome.result.status == .partial)
        #expect(outcome.notes.contains("undecoded"), "\(outcome.result.notes)")
    }

    /// A second track of an AVI begins at 0 however late its pictures are: what is not decoded is said.
    @Test(arguments: [false, true]) func `an AVI whose second video goes on`(swapped: Bool) throws {
        let directory = try FaultDirectory()
        let source = try Self.encoded.get()
        let late = ["-itsoffset", "6", "-i", source.file("mpeg4-1.ts")]
        let inputs = swapped ? late + ["-i", source.file("mpeg4-0.ts")] : ["-i", source.file("mpeg4-0.ts")] + late
        try RealTool.ffmpeg(inputs + ["-map", "0", "-map", "1", "-c", "copy", directory.file("two.avi")])
        let outcome = try decode(directory.file("two.avi"))
        let numbers = outcome.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
        #expect(outcome.result.info.stream == 0)
        #expect(outcome.notes.contains("several_video_streams"))
        if swapped {
            // The container has no picture of it before 6 s but the first one, from 0 on.
            #expect(numbers == [60, 60, 60, 60, 60, 60, 60, 70, 80, 90, 100, 110])
            #expect(outcome.result.status == .complete)
        } else {
            #expect(numbers == [0, 10, 20, 30, 40, 50])
            #expect(outcome.result.status == .partial)
            #expect(outcome.notes.contains("stream_ended"))
        }
    }
}
