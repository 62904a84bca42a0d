import Foundation
import TestSupport
import Testing

import Media

/// Times that recorders and multiplexers got wrong, in MPEG transport streams and elsewhere.
@Suite struct FaultsTimeStampTests {
    /// 30 s of numbered pictures at 10 per second, small, without B-frames.
    private static func base(_ directory: FaultDirectory, frames: Int = 300, reordered: Bool = false) throws -> String {
        let path = directory.file("base.mp4")
        try NumberedImages.encode(
            0..<frames, width: 64, height: 48,
            options: [
                "-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-bf", reordered ? "2" : "0", "-g",
                "20",
            ], to: path)
        return path
    }

    /// The numbers that the pictures of each second show.
    private func shown(_ outcome: Outcome) -> [Int] {
        outcome.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
    }

    private func expect(
        _ outcome: Outcome, seconds: Int, _ number: (Int) -> Int, within: Int = 1,
        location: SourceLocation = #_sourceLocation
    ) {
        let found = shown(outcome)
        #expect(found.count == seconds, "\(outcome.result)", sourceLocation: location)
        for (second, picture) in found.enumerated() {
            #expect(
                abs(picture - number(second)) <= within, "t = \(second) shows \(picture), not \(number(second))",
                sourceLocation: location)
        }
    }

    /// What one fault does to the time of picture n, in ticks of 90 kHz.
    struct Fault: Sendable, CustomStringConvertible {
        let description: String
        var reordered = false
        let change: @Sendable (Int, Int64) -> Int64
    }

    static let harmless: [Fault] = [
        .init(description: "each tenth picture steps back by 1.5 pictures") { $0 % 10 == 5 ? $1 - 13_500 : $1 },
        .init(description: "the same, with pictures out of order", reordered: true) {
            $0 % 10 == 5 ? $1 - 13_500 : $1
        },
        .init(description: "each seventh steps back by 9 s") { $0 > 100 && $0 % 7 == 3 ? $1 - 810_000 : $1 },
        .init(description: "three at once step back by a half second") { $0 % 50 / 3 == 5 ? $1 - 45_000 : $1 },
        .init(description: "each tenth picture is early and late by a picture") {
            $1 + ($0 % 10 == 5 ? 9000 : $0 % 10 == 6 ? -9000 : 0)
        },
        .init(description: "single steps forward by 0.7 s") { $0 % 40 == 13 ? $1 + 63_000 : $1 },
        .init(description: "single steps forward by 8 s") { $0 % 60 == 13 ? $1 + 720_000 : $1 },
        .init(description: "one picture an hour ahead") { $0 == 153 ? $1 + 3600 * 90_000 : $1 },
        .init(description: "one picture a minute back") { $0 == 153 ? $1 - 60 * 90_000 : $1 },
        .init(description: "ten seconds of pictures 40 s ahead") { (100..<200).contains($0) ? $1 + 40 * 90_000 : $1 },
        .init(description: "ten seconds of pictures 3 s ahead") { (100..<200).contains($0) ? $1 + 3 * 90_000 : $1 },
        .init(description: "three wild times at the start") {
            $0 < 3 ? [44625, 25961, 92290][$0] * 90_000 : $1
        },
        .init(description: "the last picture is two hours ahead") { $0 == 299 ? $1 + 7200 * 90_000 : $1 },
        .init(description: "40 s forward for good, without the clock") { $0 >= 150 ? $1 + 40 * 90_000 : $1 },
        .init(description: "a minute back for good") { $0 >= 150 ? $1 - 60 * 90_000 : $1 },
    ]

    /// T1 and T7.
    @Test(arguments: harmless) func laterImagesStayWhereTheyAre(_ fault: Fault) throws {
        let directory = try FaultDirectory()
        try directory.ffmpeg("-i", try Self.base(directory, reordered: fault.reordered), "-c", "copy", "plain.ts")
        let bytes = TransportStream.retime(try directory.read("plain.ts"), fault.change)
        let outcome = try decode(try directory.write("fault.ts", bytes))
        expect(outcome, seconds: 30) { $0 * 10 }
        #expect(outcome.result.status == .complete)
        #expect(abs(outcome.result.coveredSeconds - 30) < 0.21)
        if fault.description.hasSuffix("clock") {
            let note = outcome.result.notes.first { $0.code == "discontinuity" }?.message ?? ""
            #expect(note.contains("after 0:15 by up to 40 s"), "\(note)")
        }
        #expect((outcome.result.info.fileStart ?? 0) < 0.5, "\(outcome.result.info)")
    }

    /// T2: a pause is a pause, whatever the container.
    @Test(arguments: ["gap.ts", "gap.mp4", "gap.mkv"], [40, 3000]) func pauseKeepsItsTime(_ name: String, seconds: Int)
        throws
    {
        let directory = try FaultDirectory()
        let ticks = seconds * 90_000
        try directory.ffmpeg(
            "-i", try Self.base(directory), "-c", "copy", "-bsf:v",
            "setts=dts='N*9000+gte(N,150)*\(ticks)':pts='N*9000+18000+gte(N,150)*\(ticks)':time_base=1/90000", "-f",
            "mpegts", "gap.ts")
        let path =
            name == "gap.ts"
            ? directory.file(name)
            : try directory.ffmpeg("-copyts", "-i", directory.file("gap.ts"), "-c", "copy", name)
        let outcome = try decode(path, keep: 10_000)
        expect(outcome, seconds: 30 + seconds) { $0 < 15 ? $0 * 10 : $0 < 15 + seconds ? 149 : ($0 - seconds) * 10 }
        #expect(outcome.result.notes.isEmpty, "\(outcome.result.notes)")
    }

    /// Sound beside the pictures goes on, or stops with them.
    @Test(arguments: [true, false]) func soundTellsAPauseFromAJump(pause: Bool) throws {
        let directory = try FaultDirectory()
        let video = try Self.base(directory)
        try directory.ffmpeg(
            "-i", video, "-f", "lavfi", "-i", "sine=220:r=16000:d=80", "-c:v", "copy", "-c:a", "mp2", "-b:a", "32k",
            "-muxdelay", "0", "-bsf:v",
            pause ? "setts=dts='DTS+gte(N,150)*40*90000':pts='PTS+gte(N,150)*40*90000':time_base=1/90000" : "null",
            "sound.ts")
        var bytes = try directory.read("sound.ts")
        if !pause { bytes = TransportStream.retime(bytes) { $0 >= 150 ? $1 + 3_600_000 : $1 } }
        let outcome = try decode(try directory.write("jump.ts", bytes))
        if pause {
            expect(outcome, seconds: 70) { $0 < 15 ? $0 * 10 : $0 < 55 ? 149 : ($0 - 40) * 10 }
        } else {
            expect(outcome, seconds: 30) { $0 * 10 }
            #expect(outcome.notes.contains("discontinuity"))
        }
        #expect(outcome.result.status == .complete, "\(outcome.result.notes)")
    }

    /// T5: the first picture's place on the file's time line, and a length that is the video's own.
    @Test(arguments: ["late.mp4", "late.mkv", "late.ts", "late.flv"], [false, true])
    func picturesThatStartLate(_ name: String, reordered: Bool) throws {
        let directory = try FaultDirectory()
        let video = try Self.base(directory, reordered: reordered)
        let path = try directory.ffmpeg(
            "-itsoffset", "12", "-i", video, "-f", "lavfi", "-i", "sine=220:r=22050:d=45", "-map", "0:v", "-map", "1:a",
            "-c:v", "copy", "-c:a", name.hasSuffix("ts") ? "mp2" : "libmp3lame", "-ar", "44100", name)
        let outcome = try decode(path)
        expect(outcome, seconds: 30) { $0 * 10 }
        #expect(outcome.result.status == .complete, "\(outcome.result.notes)")
        let said = try RealTool.ffprobe([
            "-select_streams", "v", "-show_entries", "packet=pts_time:format=start_time", "-of", "csv", path,
        ]).split(separator: "\n").map { $0.split(separator: ",") }
        let first = said.compactMap { $0[0] == "packet" ? Double($0[1]) : nil }.min() ?? -1
        let start = said.compactMap { $0[0] == "format" ? Double($0[1]) : nil }.first ?? -1
        #expect(abs((outcome.result.info.fileStart ?? -1) - (first - start)) < 0.002, "\(first) \(start)")
        #expect(abs((outcome.result.info.fileStart ?? -1) - 12) < 0.3)
    }
}
