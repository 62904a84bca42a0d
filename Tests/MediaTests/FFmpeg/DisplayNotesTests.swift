import Foundation
import Media
import TestSupport
import Testing

/// What a file says of its pictures in places that libavformat does not tell, or among the pictures themselves.
@Suite struct DisplayNotesTests {
    /// Red, green, blue and white in the corners.
    private static let corners =
        "color=black:s=64x48:r=5:d=2,format=gbrp,geq=r='255*(lt(X,32)*lt(Y,24)+gte(X,32)*gte(Y,24))':"
        + "g='255*(gte(X,32)*lt(Y,24)+gte(X,32)*gte(Y,24))':b='255*(lt(X,32)*gte(Y,24)+gte(X,32)*gte(Y,24))'"

    private func encode(_ directory: FaultDirectory, _ name: String, _ options: [String]) throws -> String {
        try RealTool.ffmpeg(["-f", "lavfi", "-i", Self.corners] + options + [directory.file(name)])
        return directory.file(name)
    }

    private static let x264 = ["-c:v", "libx264", "-preset", "superfast", "-qp", "10", "-pix_fmt", "yuv444p"]
    /// With a SEI message in each picture: ffmpeg 5.1 puts another one before the slices only where there is one already.
    private static let turned = x264 + ["-g", "5", "-x264-params", "pic-struct=1", "-bsf:v"]

    /// ITU-T H.264, D.2.27: flipped first, then turned anticlockwise, before it is shown.
    @Test(arguments: [
        ("rotate=90", ["green", "white", "red", "blue"]), ("rotate=180", ["white", "blue", "green", "red"]),
        ("rotate=270", ["blue", "red", "white", "green"]),
        ("rotate=0:flip=horizontal", ["green", "red", "white", "blue"]),
        ("rotate=0:flip=vertical", ["blue", "white", "red", "green"]),
    ])
    func `an orientation that is coded among the pictures`(options: String, right: [String]) throws {
        let directory = try FaultDirectory()
        let path = try encode(
            directory, "turned.ts",
            Self.turned + ["h264_metadata=display_orientation=insert:" + options, "-bf", "1"])
        // From the key frame at 0 s, and from a picture between two.
        for start in [1.0, 2.5] {
            let outcome = try decode(path) { $0.framesPerSecond = start }
            #expect(outcome.frames.count >= 2)
            for frame in outcome.frames { #expect(frame.corners == right, "\(frame.gridTime) s") }
            #expect(outcome.frames.first?.width == (options.contains("90") || options.contains("270") ? 48 : 64))
            #expect(outcome.result.notes.isEmpty, "\(outcome.result.notes)")
        }
    }

    @Test func `an orientation ends with the pictures that it is coded with`() throws {
        let directory = try FaultDirectory()
        _ = try encode(
            directory, "turned.ts",
            Self.turned + ["h264_metadata=display_orientation=insert:rotate=180", "-bf", "0"])
        _ = try encode(directory, "plain.ts", Self.x264 + ["-g", "5", "-bf", "0", "-output_ts_offset", "2"])
        let bytes = try directory.read("turned.ts") + directory.read("plain.ts")
        let outcome = try decode(try directory.write("both.ts", bytes))
        #expect(outcome.frames.map { $0.color(4, 4) } == ["white", "white", "red", "red"])
        let odd = try encode(
            directory, "odd.mp4", Self.turned + ["h264_metadata=display_orientation=insert:rotate=30"])
        #expect(try decode(odd).notes == ["invalid_rotation"])
    }

    /// The clean aperture of an MP4, put behind the other boxes of the sample description.
    private func withAperture(_ bytes: [UInt8], width: Int, height: Int) throws -> [UInt8] {
        var bytes = bytes
        let box =
            bytes32(40) + Array("clap".utf8)
            + [width, 1, height, 1, 0, 1, 0, 1].flatMap { bytes32(UInt32($0)) }
        let entry = try #require(bytes.positions(of: "avc1").last) - 4
        let length = bytes[entry..<entry + 4].reduce(0) { $0 << 8 | Int($1) }
        for parent in ["moov", "trak", "mdia", "minf", "stbl", "stsd"] {
            let at = try #require(bytes.positions(of: parent).first) - 4
            bytes.put(bytes32(UInt32(bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } + box.count)), at: at)
        }
        bytes.put(bytes32(UInt32(length + box.count)), at: entry)
        bytes.insert(contentsOf: box, at: entry + length)
        return bytes
    }

    @Test(arguments: ["mp4", "mov"]) func `a clean aperture is noted`(container: String) throws {
        let directory = try FaultDirectory()
        _ = try encode(directory, "plain." + container, Self.x264)
        let plain = try directory.read("plain." + container)
        for (width, height, isNoted) in [(60, 48, true), (64, 40, true), (64, 48, false)] {
            let bytes = try withAperture(plain, width: width, height: height)
            let outcome = try decode(try directory.write("cropped." + container, bytes))
            #expect(outcome.frames.count == 2)
            #expect(outcome.notes == (isNoted ? ["cropping"] : []), "\(width)×\(height): \(outcome.result.notes)")
        }
    }

    /// An element of four bytes, StereoMode, is made one of the four that crop.
    @Test func `cropping in Matroska is noted`() throws {
        let directory = try FaultDirectory()
        _ = try encode(directory, "stereo.mkv", Self.x264 + ["-metadata:s:v", "stereo_mode=left_right"])
        let plain = try directory.read("stereo.mkv")
        let at = try #require(plain.positions(of: [0x53, 0xB8, 0x81, 0x01]).first)
        for (id, pixels, isNoted) in [
            (0xAA, 8, true), (0xBB, 1, true), (0xCC, 4, true), (0xDD, 4, true), (0xBB, 0, false),
        ] {
            var bytes = plain
            bytes.put([0x54, UInt8(id), 0x81, UInt8(pixels)], at: at)
            let outcome = try decode(try directory.write("cropped.mkv", bytes))
            #expect(outcome.frames.count == 2)
            #expect(outcome.notes == (isNoted ? ["cropping"] : []), "\(outcome.result.notes)")
        }
        // The first of two tracks asks for it; the second is the one that is looked at.
        var bytes = plain
        bytes.put([0x54, 0xBB, 0x81, 8], at: at)
        _ = try directory.write("cropped.mkv", bytes)
        try RealTool.ffmpeg([
            "-i", directory.file("stereo.mkv"), "-i", directory.file("stereo.mkv"), "-map", "0", "-map", "1", "-c",
            "copy", directory.file("two.mkv"),
        ])
        var two = try directory.read("two.mkv")
        two.put([0x54, 0xBB, 0x81, 8], at: try #require(two.positions(of: [0x53, 0xB8, 0x81, 0x01]).first))
        let path = try directory.write("two.mkv", two)
        #expect(try decode(path) { $0.stream = 0 }.notes.contains("cropping"))
        #expect(try !decode(path) { $0.stream = 1 }.notes.contains("cropping"))
    }

    @Test(arguments: [
        ("alpha.webm", ["-pix_fmt", "yuva420p", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-auto-alt-ref", "0"]),
        ("alpha.mov", ["-pix_fmt", "yuva444p10le", "-c:v", "prores_ks", "-profile:v", "4444"]),
        ("alpha.mkv", ["-pix_fmt", "bgra", "-c:v", "ffv1"]), ("plain.mkv", ["-pix_fmt", "bgr0", "-c:v", "ffv1"]),
    ])
    func `an alpha channel is noted`(name: String, options: [String]) throws {
        let directory = try FaultDirectory()
        let outcome = try decode(try encode(directory, name, options))
        #expect(outcome.notes == (name.hasPrefix("alpha") ? ["alpha"] : []), "\(outcome.result.notes)")
        #expect(outcome.frames.first?.corners == ["red", "green", "blue", "white"])
    }

    @Test(arguments: ["mkv", "mov", "mxf", "ts"])
    func `interlaced pictures are noted, wherever it is said`(container: String) throws {
        let directory = try FaultDirectory()
        let codec =
            container == "mkv"
            ? Self.x264 + ["-field_order", "tt"]
            : ["-c:v", "mpeg2video", "-pix_fmt", "yuv420p", "-r", "25", "-flags", "+ildct+ilme", "-field_order", "tt"]
        #expect(try decode(try encode(directory, "fields." + container, codec)).notes == ["interlaced"])
    }
}
