import Foundation
import Glibc
import Media
import TestSupport
import Testing

/// Parts of recordings copied without decoding: their times, their frames, and their bytes.
@Suite struct ClipSessionTests {
    struct Kind: CustomTestStringConvertible, Sendable {
        let container: String
        let options: [String]
        /// The clip's container.
        var clip = ClipResult.Container.matroska
        var audio: [String] = []
        /// Input and output options of a second run that copies the streams.
        var remux: ([String], [String])?
        var rate = 10
        var testDescription: String {
            "\(container) \(options.joined(separator: " ")) \(remux?.1 ?? [])\(remux?.0 ?? [])"
        }
    }

    private static let x264 = ["-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-g", "30"]
    private static let aac = ["-c:a", "aac", "-b:a", "48k"]
    private static let variable = [
        "-vf", "select='not(between(n,150,171))*gt(mod(n,7),1)+eq(n,0)'", "-fps_mode", "vfr",
    ]
    private static let kinds = [
        Kind(container: "mp4", options: x264 + ["-bf", "3"], clip: .mp4, audio: aac),
        Kind(container: "mp4", options: x264 + ["-bf", "3", "-x264-params", "open-gop=1"], clip: .mp4, audio: aac),
        Kind(container: "mp4", options: x264 + variable, clip: .mp4),
        Kind(container: "mp4", options: x264, clip: .mp4, remux: (["-ss", "1.3"], [])),
        Kind(container: "mov", options: x264 + ["-bf", "2"], clip: .mov, audio: ["-c:a", "pcm_s16le"]),
        Kind(container: "mp4", options: x264 + ["-movflags", "frag_keyframe+empty_moov"], clip: .mp4, audio: aac),
        Kind(container: "mkv", options: x264 + ["-bf", "2"], audio: ["-c:a", "libopus"]),
        Kind(container: "mkv", options: x264 + variable),
        Kind(container: "mkv", options: x264 + ["-x264-params", "open-gop=1", "-output_ts_offset", "73.25"]),
        Kind(
            container: "mkv", options: ["-c:v", "libvpx-vp9", "-b:v", "300k", "-g", "30", "-cpu-used", "8"],
            clip: .webm, audio: ["-c:a", "libopus"]),
        Kind(
            container: "webm", options: ["-c:v", "libvpx", "-b:v", "400k", "-g", "30", "-deadline", "realtime"],
            clip: .webm),
        Kind(container: "ts", options: x264 + ["-bf", "2"], audio: aac),
        Kind(
            container: "ts", options: x264 + ["-bf", "2", "-x264-params", "open-gop=1"], remux: (["-ss", "2.3"], [])),
        Kind(container: "ts", options: x264 + ["-bf", "2", "-output_ts_offset", "95430.1"]),
        Kind(
            container: "ts", options: ["-c:v", "mpeg2video", "-q:v", "4", "-bf", "2", "-g", "15"],
            audio: ["-c:a", "mp2"], rate: 25),
        Kind(container: "mpg", options: ["-c:v", "mpeg2video", "-q:v", "4", "-bf", "2", "-g", "15"], rate: 25),
        Kind(container: "flv", options: x264 + ["-bf", "2"], audio: aac),
        Kind(
            container: "avi", options: ["-c:v", "mpeg4", "-q:v", "4", "-g", "30"], clip: .avi, audio: ["-c:a", "mp3"]),
        Kind(container: "avi", options: ["-c:v", "mpeg4", "-q:v", "4", "-bf", "2", "-g", "30"], clip: .avi),
        Kind(container: "avi", options: x264 + ["-bf", "2"], clip: .avi),
        Kind(
            container: "mkv",
            options: ["-c:v", "libx265", "-preset", "ultrafast", "-g", "30", "-x265-params", "log-level=error"]),
    ]

    static func recording(_ kind: Kind, in directory: DecodeDirectory) throws -> String {
        let path = directory.file("recording." + kind.container)
        let silent = kind.audio.isEmpty ? path : directory.file("silent." + kind.container)
        let encoded = kind.remux == nil ? silent : directory.file("encoded." + kind.container)
        try NumberedImages.encode(
            0..<(40 * kind.rate), width: 128, height: 80, rate: "\(kind.rate)", options: kind.options, to: encoded)
        if let (input, output) = kind.remux {
            try RealTool.ffmpeg(input + ["-i", encoded, "-c", "copy"] + output + [silent])
        }
        if !kind.audio.isEmpty {
            try RealTool.ffmpeg(
                ["-i", silent, "-f", "lavfi", "-i", "sine=f=440:d=40", "-map", "0:v", "-map", "1:a", "-c:v", "copy"]
                    + kind.audio + [path])
        }
        return path
    }

    /// Copies a part of a recording into a new file.
    static func clip(
        _ path: String, _ start: Double, _ end: Double, anchor: Frame, to out: String, maxBytes: Int64 = 1 << 30,
        after written: [UInt8] = []
    ) throws -> ClipResult {
        let descriptor = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        defer { close(descriptor) }
        try #require(write(descriptor, written, written.count) == written.count)
        let request = ClipRequest(
            anchor: .init(pts: anchor.pts, seconds: anchor.ptsSeconds), start: start, end: end, maxBytes: maxBytes)
        let result = try ClipCopy.copy(
            RecordingFile(path: path), request, request: FrameRequest(output: .native), to: descriptor)
        #expect(ftruncate(descriptor, off_t(result.bytes)) == 0)
        return result
    }

    private static func number(_ frame: Frame) -> Int {
        NumberedImages.number(rgb: frame.rgb, width: frame.width, height: frame.height)
    }

    @Test(arguments: kinds) func theClipHasTheFramesOfItsTimes(_ kind: Kind) throws {
        let directory = try DecodeDirectory()
        let path = try Self.recording(kind, in: directory)
        let second = Double(kind.rate)
        let whole = try SampledFrames(path) { $0.framesPerSecond = second }
        let anchor = try #require(whole.frames.first)
        let numbers = whole.frames.map { Self.number($0) }
        let parts = [(16.2...19.0, 11.0), (0.0...3.5, 8.5), (35.0...60.0, 11.0)]
        // In an ordinary run one of them.
        let number = try #require(Self.kinds.firstIndex { $0.testDescription == kind.testDescription })
        for (wanted, longest) in LongRun.isWhole ? parts : [parts[number % 3]] {
            let out = directory.file("clip")
            let result = try Self.clip(
                path, wanted.lowerBound, wanted.upperBound, anchor: anchor, to: out)
            #expect(result.container == kind.clip && result.notes.isEmpty, "\(result)")
            #expect(result.start <= wanted.lowerBound + 0.001, "\(result)")
            #expect(result.end >= min(wanted.upperBound, whole.result.coveredSeconds) - 0.001, "\(result)")
            #expect(result.end - result.start <= longest, "\(result)")
            // Read back: each frame is the one that the recording shows at its time.
            let clip = try SampledFrames(out) { $0.framesPerSecond = second }
            #expect(clip.result.status == .complete, "\(clip.result.notes)")
            #expect(abs(clip.result.coveredSeconds - (result.end - result.start)) < 0.002, "\(result)")
            // AVI cannot say that the first frame is shown while later ones are read already.
            #expect((clip.result.info.fileStart ?? 1) <= (kind.clip == .avi ? 0.3 : 0.001))
            var wrong: [String] = []
            for frame in clip.frames {
                let time = result.start + frame.ptsSeconds
                // The recording hides what an edit list cuts off; a clip cannot.
                if time < -0.01 { continue }
                let index = Int((time * second).rounded())
                let shown = Self.number(frame)
                guard numbers.indices.contains(index), abs(time * second - Double(index)) < 0.02 * second,
                    numbers[index] == shown
                else {
                    wrong.append("\(shown) at \(time) s")
                    continue
                }
            }
            #expect(wrong.isEmpty, "\(wrong.prefix(3)) of \(clip.frames.count), \(result)")
            if !kind.audio.isEmpty {
                let audio = try RealTool.ffprobe([
                    "-select_streams", "a", "-show_entries",
                    "stream=start_time", "-show_entries", "packet=pts_time", "-of", "csv=p=0", out,
                ])
                let times = audio.split(whereSeparator: \.isNewline).compactMap {
                    Double($0.split(separator: ",").first ?? "")
                }
                #expect(
                    (times.first ?? 99) < 0.2 && (times.max() ?? 0) > result.end - result.start - 0.4, "\(times.count)")
            }
            // A worker that was lost has written before.
            let again = directory.file("again")
            _ = try Self.clip(
                path, wanted.lowerBound, wanted.upperBound, anchor: anchor, to: again,
                after: [UInt8](repeating: 0x55, count: 100_000))
            #expect(FileManager.default.contentsEqual(atPath: out, andPath: again))
        }
    }

    @Test func aRecordingThatBeginsWithoutAKeyFrame() throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording.ts")
        try NumberedImages.encode(0..<200, width: 128, height: 80, options: Self.x264, to: path)
        // Packets of 188 bytes; the tables come again and again.
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes.removeFirst(bytes.count / 188 / 20 * 188)
        try bytes.write(to: URL(fileURLWithPath: path))
        let whole = try SampledFrames(path)
        let anchor = try #require(whole.frames.first)
        let result = try Self.clip(path, 0, 3, anchor: anchor, to: directory.file("clip"))
        #expect(abs(result.start) < 0.001 && result.end >= 3)
    }

    @Test func whatCannotBeCutIsSaid() throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording.mp4")
        try NumberedImages.encode(0..<7000, width: 64, height: 64, options: ["-c:v", "mpeg4", "-g", "600"], to: path)
        let whole = try SampledFrames(path) { $0.maxFrames = 1 }
        let anchor = try #require(whole.frames.first)
        func code(_ body: () throws -> Void) -> MediaError.Code? {
            do { try body() } catch { return (error as? MediaError)?.code }
            return nil
        }
        let out = directory.file("clip")
        #expect(code { _ = try Self.clip(path, 690, 695, anchor: anchor, to: out) } == nil)
        // No room: the message is about the limit, and the worker is not ended by a signal.
        #expect(code { _ = try Self.clip(path, 690, 695, anchor: anchor, to: out, maxBytes: 4096) } == .cannotWrite)
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        defer { close(full) }
        let request = ClipRequest(anchor: .init(pts: 0, seconds: 0), start: 1, end: 2, maxBytes: 1 << 30)
        #expect(
            code {
                _ = try ClipCopy.copy(
                    RecordingFile(path: path), request, request: FrameRequest(output: .native), to: full)
            } == .cannotWrite)
        let sound = directory.file("sound.mp4")
        try RealTool.ffmpeg(["-f", "lavfi", "-i", "sine=d=2", sound])
        #expect(code { _ = try Self.clip(sound, 0, 1, anchor: anchor, to: out) } == .noVideoStream)
    }

    /// Damaged files give a clip or a reason; the worker's messages stay valid.
    @Test(arguments: ["mp4", "mkv", "ts", "avi"]) func damagedFiles(_ container: String) throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording." + container)
        let codec = container == "avi" ? ["-c:v", "mpeg4", "-g", "20"] : Self.x264
        try NumberedImages.encode(0..<150, width: 128, height: 80, options: codec, to: path)
        let anchor = try #require(try SampledFrames(path) { $0.maxFrames = 1 }.frames.first)
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        var numbers = SeededNumbers(state: 7)
        for round in 0..<12 {
            var damaged = bytes
            for _ in 0..<(1 << (round % 6)) {
                damaged[Int.random(in: 0..<damaged.count, using: &numbers)] = UInt8.random(in: 0...255, using: &numbers)
            }
            if round % 4 == 3 { damaged = damaged.prefix(damaged.count / 2) }
            let file = directory.file("damaged." + container)
            try damaged.write(to: URL(fileURLWithPath: file))
            do {
                let result = try Self.clip(file, 4, 9, anchor: anchor, to: directory.file("clip"))
                #expect(result.start < result.end)
            } catch let error as MediaError {
                #expect(error.code != .worker && error.code != .cannotWrite, "round \(round): \(error)")
            }
        }
    }

    /// Fewer key frames than the limit allows.
    @Test func aKeyFrameFarAwayIsRefused() throws {
        let directory = try DecodeDirectory()
        let path = directory.file("recording.mkv")
        try NumberedImages.encode(
            0..<800, width: 64, height: 64, rate: "1", options: ["-c:v", "mpeg4", "-g", "600", "-sc_threshold", "0"],
            to: path)
        let anchor = try #require(try SampledFrames(path) { $0.maxFrames = 1 }.frames.first)
        let out = directory.file("clip")
        let near = try Self.clip(path, 590, 592, anchor: anchor, to: out)
        #expect(near.start == 0 && near.end >= 592 && near.end < 610, "\(near)")
    }
}
