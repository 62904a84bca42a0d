import Foundation
import Media
import TestSupport
import Testing

/// Decoding in part and with several threads gives the frames of decoding every frame with one thread.
@Suite struct SkippingTests {
    @Test(arguments: EncodedRecording.h264) func h264(_ recording: EncodedRecording) throws { try check(recording) }

    @Test(arguments: EncodedRecording.others) func others(_ recording: EncodedRecording) throws { try check(recording) }

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
