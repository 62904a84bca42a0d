import Foundation
import Testing

import Media

/// Containers whose ends, lengths and times are not what they say.
@Suite struct FaultsTimeTests {
    @Test func f04TruncatedWithItsIndexInFront() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp("whole.mp4", seconds: 10, rate: 10, "-movflags", "+faststart")
        let whole = try directory.read("whole.mp4")
        let media = try #require(whole.positions(of: "mdat").last)
        let cut = media + (whole.count - media) * 6 / 10
        let complete = try decode(path)
        #expect(complete.result.status == .complete)
        #expect(complete.notes.isEmpty)
        #expect(complete.ordinals == (0..<10).map { $0 * 10 })
        let outcome = try decode(try directory.write("cut.mp4", Array(whole[..<cut])))
        #expect(outcome.error == nil)
        #expect(outcome.result.status == .partial)
        #expect(outcome.notes.contains("truncated"))
        #expect((5.0...7.0).contains(outcome.result.coveredSeconds), "\(outcome.result.coveredSeconds)")
        #expect((5...7).contains(outcome.frames.count))
        // What is there is what the whole file has there.
        #expect(outcome.frames.map(\.rgb) == complete.frames.prefix(outcome.frames.count).map(\.rgb))
        // Every other cut is a partial recording or a clean refusal as well.
        for tenth in 1...9 {
            let part = media + (whole.count - media) * tenth / 10 + 7
            let outcome = try decode(try directory.write("part.mp4", Array(whole[..<part])))
            if outcome.error == nil { #expect(outcome.result.status == .partial, "at \(tenth)/10") }
            #expect(outcome.frames.count <= tenth + 1)
        }
    }

    @Test func f07MatroskaWithoutCuesAndLength() throws {
        let directory = try FaultDirectory()
        let source = "color=black:s=64x48:r=10:d=5,format=yuv420p,geq=lum=16+2*N:cb=128:cr=128"
        let path = directory.file("pipe.mkv")
        let command =
            "ffmpeg -nostdin -v error -f lavfi -i '\(source)' -c:v libx264 -preset ultrafast -qp 10 -f matroska - | cat > '\(path)'"
        #expect(try runTool("timeout", ["60", "sh", "-c", command]) == 0)
        let outcome = try decode(path)
        #expect(outcome.error == nil)
        #expect(outcome.ordinals == [0, 10, 20, 30, 40])
        #expect(outcome.result.status == .complete)
        #expect(outcome.result.info.duration == nil)
        #expect(abs(outcome.result.coveredSeconds - 5) < 0.2)
    }

    @Test(arguments: [0, 1_000_000_000, -5, .infinity, .nan])
    func f07ForgedLengthOfMatroska(seconds: Double) throws {
        let directory = try FaultDirectory()
        try directory.ramp("whole.mkv", seconds: 4)
        var bytes = try directory.read("whole.mkv")
        // EBML: id 0x4489, length 8, a double of milliseconds.
        let duration = try #require(bytes.positions(of: [0x44, 0x89, 0x88]).first)
        bytes.put(bytes64((seconds * 1000).bitPattern), at: duration + 3)
        let outcome = try decode(try directory.write("forged.mkv", bytes)) { $0.memoryLimit = 1 << 30 }
        #expect(outcome.error == nil)
        #expect(outcome.ordinals == [0, 10, 20, 30])
        #expect((outcome.result.info.duration ?? 0) < 31 * 86_400)
        #expect((outcome.result.info.duration ?? 0) >= 0)
        #expect(abs(outcome.result.coveredSeconds - 4) < 0.2)
        if seconds == 1e9 { #expect(outcome.notes.contains("duration_unreliable")) }
    }

    @Test(arguments: [0, 4_000_000_000, 0xFFFF_FFF0] as [UInt32])
    func f07ForgedLengthOfMP4(ticks: UInt32) throws {
        let directory = try FaultDirectory()
        try directory.ramp("whole.mp4", seconds: 4, rate: 10, "-movflags", "+faststart")
        var bytes = try directory.read("whole.mp4")
        // mvhd and mdhd of version 0: times, time scale, duration; elst: its one entry's length.
        // An edit of no length would hide everything.
        for (name, offset) in [("mvhd", 20), ("mdhd", 20), ("tkhd", 24), ("elst", 12)] where name != "elst" || ticks > 0
        {
            let box = try #require(bytes.positions(of: name).first)
            bytes.put(bytes32(ticks), at: box + offset)
        }
        let outcome = try decode(try directory.write("forged.mp4", bytes)) { $0.memoryLimit = 1 << 30 }
        #expect(outcome.error == nil)
        #expect(outcome.frames.count <= 4)
        #expect(outcome.ordinals == Array([0, 10, 20, 30].prefix(outcome.frames.count)))
        #expect(outcome.frames.count >= 1)
        #expect((outcome.result.info.duration ?? 0) < 31 * 86_400)
        #expect(outcome.result.coveredSeconds < 6)
    }

    @Test func f08GapsRepeatTheFrameBeingShown() throws {
        let directory = try FaultDirectory()
        // Images 0…19 in the first two seconds, then nothing until 9 s.
        let path = try directory.ramp(
            "gap.mkv", seconds: 3, rate: 10, "-bf", "0", "-bsf:v", "setts=ts='if(gt(N,19),TS+7000,TS)'")
        let outcome = try decode(path)
        #expect(outcome.frames.map(\.index) == Array(0..<10))
        #expect(outcome.ordinals == [0, 10] + [Int](repeating: 19, count: 7) + [20])
        #expect(outcome.frames[5].ptsSeconds == outcome.frames[2].ptsSeconds)
        #expect(abs(outcome.frames[5].ptsSeconds - 1.9) < 0.002)
        #expect(outcome.frames[5].gridTime == 5)
        #expect(outcome.result.counters.framesRepeated == 6)
        #expect(outcome.result.status == .complete)
        // Beyond the cap it is a break in the timeline, not a picture that stood still.
        let capped = try decode(path) { $0.maxGap = 5 }
        #expect(capped.frames.count == 3)
        #expect(capped.result.counters.discontinuities == 1)
        #expect(capped.notes.contains("discontinuity"))
    }

    @Test func f09NoTimesAtAll() throws {
        let directory = try FaultDirectory()
        // AVI has decoding times only.
        let avi = try directory.ramp("a.avi", seconds: 3)
        #expect(try decode(avi).ordinals == [0, 10, 20])
        // MPEG-TS with the flags that announce times taken out of every PES header.
        try directory.ramp("timed.ts", seconds: 3)
        var bytes = try directory.read("timed.ts")
        let headers = bytes.positions(of: [0, 0, 1, 0xE0])
        #expect(headers.count >= 30)
        for header in headers { bytes[header + 7] &= 0x3F }
        let outcome = try decode(try directory.write("untimed.ts", bytes))
        #expect(outcome.ordinals == [0, 10, 20], "\(outcome.result)")
        #expect(outcome.notes.contains("no_timestamps"))
        // A bare stream is in no container at all.
        let raw = try directory.ramp("raw.h264", seconds: 1)
        #expect(try refusal(raw) == .unsupportedFormat)
    }

    @Test func f10TheFirstPresentedFrameIsZero() throws {
        let directory = try FaultDirectory()
        let whole = try directory.ramp("whole.mp4", seconds: 6)
        // Copied from 2.7 s: the key frame of 2.5 s comes along and an edit list hides it.
        let edited = try directory.ffmpeg("-ss", "2.7", "-i", whole, "-c", "copy", "edited.mp4")
        let outcome = try decode(edited)
        #expect(outcome.ordinals == [27, 37, 47, 57], "\(outcome.ordinals)")
        #expect(outcome.frames.first?.ptsSeconds == 0)
        // Times that begin at 100 s, and before 0.
        for (name, offset) in [("late.mkv", "100"), ("early.ts", "0.3"), ("late.ts", "5000")] {
            let path = try directory.ffmpeg("-i", whole, "-c", "copy", "-output_ts_offset", offset, name)
            let outcome = try decode(path)
            #expect(outcome.ordinals == [0, 10, 20, 30, 40, 50], "\(name)")
            #expect(outcome.frames.first?.gridTime == 0)
            if name == "late.mkv" { #expect(abs((outcome.result.info.startSeconds ?? 0) - 100) < 0.2) }
            #expect(outcome.result.status == .complete)
        }
    }

    @Test func f11RepeatedAndBackwardTimes() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp(
            "back.mkv", seconds: 10, rate: 10, "-bf", "0", "-bsf:v",
            "setts=dts=N:pts='1000+100*if(eq(mod(N,5),4),N-3,if(eq(mod(N,5),3),N-1,N))'")
        let outcome = try decode(path)
        #expect(outcome.error == nil)
        #expect(outcome.frames.map(\.index) == Array(0..<outcome.frames.count))
        #expect((9...10).contains(outcome.frames.count))
        // Images 4, 9, … go back and 3, 8, … repeat the time before: never shown.
        #expect(outcome.result.counters.framesOutOfOrder == 40)
        #expect(outcome.notes.contains("out_of_order"))
        #expect(outcome.ordinals == (0..<outcome.frames.count).map { $0 * 10 })
    }
}
