import Foundation
import Testing

import Media

/// F12: MPEG-TS counts 33 bits, and jumps that nobody recorded.
@Suite struct FaultsWrapTests {
    @Test func theCounterWrapsWithinTheFile() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp("wrap.ts", seconds: 8, rate: 10, "-output_ts_offset", "95438")
        let outcome = try decode(path)
        #expect(outcome.ordinals == (0..<8).map { $0 * 10 })
        #expect(outcome.result.counters.discontinuities == 0)
        #expect(outcome.result.status == .complete)
        #expect(abs(outcome.result.coveredSeconds - 8) < 0.2)
    }

    /// Libavformat corrects the first wrap; 27 hours after it the count comes back to where the correction began.
    @Test func moreThanOneTurnOfTheCounter() throws {
        let directory = try FaultDirectory()
        let path = try directory.ffmpeg(
            "-f", "lavfi", "-i", "color=gray:s=16x16:r=1/9:d=110000", "-c:v", "mpeg4", "-g", "100", "-muxdelay", "0",
            "-output_ts_offset", "95000", "days.ts")
        let outcome = try decode(path) {
            $0.framesPerSecond = 1.0 / 600
            $0.maxDuration = 40 * 3600
        }
        #expect(outcome.error == nil)
        #expect(outcome.result.counters.discontinuities == 0, "\(outcome.result)")
        #expect(abs(outcome.result.coveredSeconds - 110_000) < 30, "\(outcome.result.coveredSeconds)")
        #expect((183...185).contains(outcome.frames.count))
        for frame in outcome.frames { #expect(frame.gridTime - frame.ptsSeconds < 9.1) }
    }

    @Test func recordingsThatStartOver() throws {
        let directory = try FaultDirectory()
        try directory.ramp("a.ts", seconds: 4)
        let once = try directory.read("a.ts")
        let outcome = try decode(try directory.write("thrice.ts", once + once + once))
        #expect(outcome.error == nil)
        #expect((11...13).contains(outcome.frames.count), "\(outcome.frames.count)")
        #expect(outcome.result.counters.discontinuities == 2, "\(outcome.result.counters)")
        #expect(outcome.notes.contains("discontinuity"))
        #expect(abs(outcome.result.coveredSeconds - 12) < 0.5)
        #expect(outcome.ordinals.filter { $0 == 30 }.count == 3)
    }

    @Test func jumpForwardInAStream() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp(
            "jump.ts", seconds: 6, rate: 10, "-bf", "0", "-bsf:v", "setts=ts='if(gt(N,29),TS+90000*3600,TS)'")
        // One multiplexer wrote it, its clock jumps along, and it stays: an hour without a picture.
        let outcome = try decode(path, keep: 10_000)
        #expect(outcome.ordinals == [0, 10, 20] + [Int](repeating: 29, count: 3600) + [30, 40, 50])
        #expect(outcome.result.counters.discontinuities == 0)
        // Beyond the limit it is a break, as in any container.
        let capped = try decode(path) { $0.maxGap = 600 }
        #expect(capped.ordinals == [0, 10, 20, 30, 40, 50])
        #expect(capped.result.counters.discontinuities == 1)
        let note = capped.result.notes.first { $0.code == "discontinuity" }?.message ?? ""
        #expect(note.contains("by up to 3600 s"), "\(note)")
    }

    /// Milliseconds of Matroska near 2^62 nanoseconds: no grid of billions of repeats.
    @Test(arguments: [4_000_000_000_000, 86_400_000 * 365] as [Int])
    func forgedJump(milliseconds: Int) throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp(
            "jump.mkv", seconds: 6, rate: 10, "-bf", "0", "-bsf:v", "setts=ts='if(gt(N,29),TS+\(milliseconds),TS)'")
        let outcome = try decode(path)
        #expect(outcome.error == nil)
        #expect(outcome.ordinals == [0, 10, 20, 30, 40, 50])
        #expect(outcome.result.counters.discontinuities == 1)
        // There and back again, at every second frame.
        let wild = try directory.ramp(
            "wild.mkv", seconds: 6, rate: 10, "-bf", "0", "-bsf:v",
            "setts=dts=N:pts='if(mod(N,2),\(milliseconds)+100*N,100+100*N)'")
        let second = try decode(wild)
        #expect(second.error == nil)
        #expect(second.frames.count <= 7, "\(second.frames.count)")
        // Each is a single wrong time, taken back by the frame after it.
        #expect(second.result.counters.framesOutOfOrder >= 25, "\(second.result)")
        #expect(second.ordinals.count >= 3)
    }

    /// Cluster times as 8 bytes of ones: sums that do not fit in 64 bits.
    @Test(arguments: [UInt64.max, 1 << 63, 1 << 62, (1 << 63) - 1] as [UInt64])
    func clusterTimesBeyondAllCounting(time: UInt64) throws {
        let directory = try FaultDirectory()
        try directory.ramp("whole.mkv", seconds: 8, rate: 10, "-cluster_time_limit", "1000")
        let whole = try directory.read("whole.mkv")
        // EBML: cluster id, its length in 8 bytes, then the time's id 0xE7 and its own length.
        let clusters = whole.positions(of: [0x1F, 0x43, 0xB6, 0x75])
        #expect(clusters.count >= 4)
        var bytes = whole
        let cluster = clusters[2]
        let id = try #require(whole[cluster...].firstIndex(of: 0xE7))
        let length = Int(whole[id + 1] & 0x7F)
        bytes.replaceSubrange((id + 2)..<(id + 2 + length), with: bytes64(time))
        bytes[id + 1] = 0x88
        let outcome = try decode(try directory.write("forged.mkv", bytes))
        #expect(outcome.frames.count <= 10, "\(outcome.frames.count)")
        if outcome.error == nil { #expect(outcome.frames.count >= 1) }
    }
}
