import Foundation
import Media
import Testing

/// Resuming, the reference's sampling, threads, times that break off, and recordings of hours.
@Suite struct TimelineTests {
    private static let x264 = "-c:v libx264 -preset superfast -bf 3 -pix_fmt yuv420p"

    static let some: [EncodedRecording] = [
        .init("H.264, mp4", "mp4", .init(seconds: 5.2), x264),
        .init("H.264 open GOPs, ts", "ts", .init(rate: "30000/1001"), x264 + " -x264-params open-gop=1:keyint=20"),
        .init(
            "VP9 with hidden frames, webm", "webm", .init(rate: "24000/1001"),
            "-c:v libvpx-vp9 -cpu-used 8 -b:v 300k -auto-alt-ref 1 -lag-in-frames 16 -pix_fmt yuv420p"),
        .init(
            "HEVC of variable rate, mkv", "mkv", .init(rate: "50", filters: "select='gt(random(3),0.5)+eq(n,0)'"),
            "-c:v libx265 -preset ultrafast -x265-params log-level=none:pools=1 -pix_fmt yuv420p -fps_mode vfr"),
        .init("AV1, mp4", "mp4", .init(), "-c:v libsvtav1 -preset 12 -crf 40 -g 50 -pix_fmt yuv420p"),
        .init("MPEG-4 with B-frames, avi", "avi", .init(), "-c:v mpeg4 -bf 2 -q:v 4"),
        .init(
            "H.264 cut into by an edit list, mp4", "mp4", .init(seconds: 6), x264 + " -g 50", remux: ("-ss 1.3", "")),
    ]

    /// Each is encoded and decoded by the tools once for all three.
    @Test(arguments: some) func resumingReferenceAndThreads(_ recording: EncodedRecording) throws {
        let directory = try DecodeDirectory()
        let path = try recording.make(in: directory)
        let every = try EveryFrame(decoding: path, in: directory)
        try resumingGivesTheTail(path, every)
        try reference(path, every)
        try threadsChangeNothing(path, every)
    }

    private func resumingGivesTheTail(_ path: String, _ every: EveryFrame) throws {
        let picks = every.picked(at: 2)
        for first in [1, 3, picks.count - 1, picks.count, picks.count + 5] {
            let sampled = try SampledFrames(path) {
                $0.framesPerSecond = 2
                $0.firstIndex = first
            }
            sampled.expect(picks, of: every, at: 2, from: first)
            sampled.expectWhole(every)
            // Those before the first one count: the recording is as long as it is.
            #expect(sampled.result.counters.framesSampled == picks.count)
            #expect(sampled.result.counters.framesRepeated == picks.count - Set(picks).count)
        }
    }

    private func reference(_ path: String, _ every: EveryFrame) throws {
        for framesPerSecond in [1.0, 2] {
            let picks = ReferenceSampling.indices(
                frameCount: every.packetsShown, framesPerSecond: every.rate, sampleRate: framesPerSecond)
            #expect(!picks.isEmpty)
            for first in [0, 2] {
                let sampled = try SampledFrames(path) {
                    $0.framesPerSecond = framesPerSecond
                    $0.sampling = .reference
                    $0.firstIndex = first
                }
                sampled.expect(picks, of: every, at: framesPerSecond, from: first)
                #expect(sampled.result.status == .complete)
                #expect(sampled.result.notes.isEmpty)
                #expect(sampled.result.counters.framesSampled == picks.count)
                // Nothing after the last one is needed.
                #expect(sampled.result.counters.framesDecoded == (picks.last ?? 0) + 1)
            }
        }
    }

    private func threadsChangeNothing(_ path: String, _ every: EveryFrame) throws {
        let sampled = try SampledFrames(path) {
            $0.framesPerSecond = 8
            $0.threads = 4
        }
        sampled.expect(every.picked(at: 8), of: every, at: 8)
        sampled.expectWhole(every)
    }

    /// A recorder that was stopped and started again: its second part counts from the start.
    @Test(arguments: ["", " -output_ts_offset 5000"]) func partsThatCountAnew(_ offset: String) throws {
        let directory = try DecodeDirectory()
        let parts = ["", offset].enumerated().map { number, offset in
            EncodedRecording(
                "", "part\(number).ts", .init(size: number == 0 ? "320x180" : "192x108", seconds: 3), Self.x264 + offset
            )
        }
        var bytes = Data()
        for part in parts { bytes += try Data(contentsOf: URL(fileURLWithPath: try part.make(in: directory))) }
        let path = directory.file("whole.ts")
        try bytes.write(to: URL(fileURLWithPath: path))
        let every = try EveryFrame(decoding: path, in: directory)
        #expect(every.frames.count == 150)
        // The timeline goes on across the break by a frame.
        let times = (0..<150).map { Double($0) / 25 }
        for framesPerSecond in [1.0, 4, 25] {
            let sampled = try SampledFrames(path) { $0.framesPerSecond = framesPerSecond }
            sampled.expect(
                every.picked(at: framesPerSecond, times: times), of: every, at: framesPerSecond, times: times)
            sampled.expectWhole(every, notes: ["damaged", "discontinuity"], joints: 1)
            #expect(sampled.result.counters.discontinuities == 1)
            #expect(abs(sampled.result.coveredSeconds - 6) < 1e-6)
        }
    }

    static let long: [EncodedRecording] = [
        .init(
            "H.264 of an hour, mp4", "mp4", .init(size: "64x48", rate: "5", seconds: 3600),
            "-c:v libx264 -preset ultrafast -bf 2 -g 250"),
        .init(
            "MPEG-4 of 3 hours, mkv", "mkv", .init(size: "64x48", rate: "3000/1001", seconds: 10_800),
            "-c:v mpeg4 -q:v 8 -g 100"),
    ]

    @Test(arguments: zip(long, [3600, 10_800])) func hours(_ recording: EncodedRecording, seconds: Int) throws {
        let directory = try DecodeDirectory()
        let path = try recording.make(in: directory)
        let every = try EveryFrame(
            decoding: path, select: "not(mod(n,97))", keeping: { $0 % 97 == 0 }, in: directory)
        let picks = every.picked(at: 1)
        // Three hours are no whole number of frames at 2.997 per second: the last one ends after them.
        #expect((seconds...seconds + 1).contains(picks.count))
        let sampled = try SampledFrames(path)
        sampled.expect(picks, of: every, at: 1, pixelsWhere: { $0 % 97 == 0 })
        sampled.expectWhole(every)
        #expect(abs(sampled.result.coveredSeconds - Double(seconds)) < 1)
    }
}
