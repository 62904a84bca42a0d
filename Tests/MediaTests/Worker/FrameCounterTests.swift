import Foundation
import Media
import TestSupport
import Testing

/// The reference's sampling counts pictures: not fields, nor packets that show nothing.
@Suite struct FrameCounterTests {
    private static let seconds = 20
    private static let luma = (0..<25 * seconds).map { UInt8(16 + $0 * 7 % 219) }

    enum Coding: CaseIterable { case fields, mixed, framesFirst }

    @Test(arguments: Coding.allCases, ["ts", "mkv", "mp4", "mov"])
    func fieldsAreNotFrames(_ coding: Coding, _ suffix: String) throws {
        let directory = try DecodeDirectory()
        let raw = directory.file("fields.h264")
        let bytes = FieldCodedH264.bytes(luma: Self.luma) { number in
            switch coding {
            case .fields: false
            case .mixed: number % 3 == 1
            case .framesFirst: number < 60
            }
        }
        try Data(bytes).write(to: URL(fileURLWithPath: raw))
        let path = directory.file("whole.\(suffix)")
        // A packet's time is its first field's, or its frame's. ffmpeg's own guess for a raw stream is not kept.
        let times =
            switch coding {
            case .fields: "N*1800"
            case .mixed: "floor(N/5)*10800+mod(N,5)*1800+gte(mod(N,5),3)*1800"
            case .framesFirst: "if(lt(N,60),N*3600,216000+(N-60)*1800)"
            }
        // setts does not tell Matroska's writer its time base.
        let base = suffix == "mkv" ? 1000 : 90_000
        try RealTool.ffmpeg([
            "-r", "25", "-i", raw, "-c", "copy", "-bsf:v", "setts=ts='(\(times))/\(90_000 / base)':time_base=1/\(base)",
            path,
        ])
        let every = try EveryFrame(probing: path, in: directory)
        #expect(every.frames.count == Self.luma.count)
        #expect(every.packets > Self.luma.count, "a field is a packet")

        let sampled = try SampledFrames(path) { $0.sampling = .reference }
        let picks = ReferenceSampling.indices(frameCount: Self.luma.count, framesPerSecond: 25)
        #expect(picks.count == Self.seconds)
        #expect(sampled.frames.count == Self.seconds)
        #expect(sampled.result.status == .complete)
        let grays = sampled.frames.map { (Double($0.rgb.first ?? 0) * 219 / 255 + 16).rounded() }
        #expect(grays == picks.map { Double(Self.luma[$0]) })
    }

    /// Packets of VP8 and VP9 that only later pictures refer to; frames that are interlaced, but coded whole.
    @Test(arguments: [
        ("vp8.webm", "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 16 -arnr-maxframes 7 -cpu-used 4 -b:v 200k"),
        ("vp9.webm", "-c:v libvpx-vp9 -cpu-used 8 -b:v 200k -auto-alt-ref 1 -lag-in-frames 16"),
        ("fields.ts", "-c:v mpeg2video -flags +ilme+ildct -bf 2 -q:v 3"),
        ("tff.mkv", "-c:v libx264 -preset superfast -flags +ilme+ildct -x264-params tff=1"),
    ])
    func hiddenImagesDoNotCount(_ name: String, _ options: String) throws {
        let directory = try DecodeDirectory()
        let path = directory.file(name)
        let passes = name.hasPrefix("vp8") ? ["1", "2"].map { ["-pass", $0, "-passlogfile", path] } : [[]]
        for pass in passes {
            try NumberedImages.encode(
                0..<250, rate: "25",
                options: options.split(separator: " ").map(String.init) + ["-pix_fmt", "yuv420p"] + pass, to: path)
        }
        let every = try EveryFrame(probing: path, in: directory)
        #expect(every.frames.count == 250)
        if name.hasPrefix("vp8") { #expect(every.packets > 250) }
        let sampled = try SampledFrames(path) { $0.sampling = .reference }
        let picks = ReferenceSampling.indices(frameCount: 250, framesPerSecond: 25)
        #expect(
            sampled.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) } == picks)
    }
}
