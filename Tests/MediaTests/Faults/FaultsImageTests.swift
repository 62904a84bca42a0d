import Foundation
import Testing

import Media

/// Images turned, stretched, odd, deep, or too large.
@Suite struct FaultsImageTests {
    /// 64×32: red and green above, blue and white below.
    private static let quarters =
        "color=black:s=64x32:r=5:d=2,drawbox=0:0:32:16:red:fill,drawbox=32:0:32:16:lime:fill,"
        + "drawbox=0:16:32:16:blue:fill,drawbox=32:16:32:16:white:fill"

    private func quartersClip(_ directory: FaultDirectory) throws -> [UInt8] {
        try directory.ffmpeg(
            "-f", "lavfi", "-i", Self.quarters, "-c:v", "libx264", "-qp", "10", "-pix_fmt", "yuv420p", "-movflags",
            "+faststart", "quarters.mp4")
        return try directory.read("quarters.mp4")
    }

    /// The nine numbers of tkhd's matrix stand 40 bytes after its type.
    private func turned(_ bytes: [UInt8], _ matrix: [Int32]) throws -> [UInt8] {
        var bytes = bytes
        let tkhd = try #require(bytes.positions(of: "tkhd").first)
        for (place, value) in matrix.enumerated() {
            bytes.put(bytes32(UInt32(bitPattern: value)), at: tkhd + 44 + 4 * place)
        }
        return bytes
    }

    @Test func f13QuarterTurnsAndMirrors() throws {
        let directory = try FaultDirectory()
        let clip = try quartersClip(directory)
        let (one, w): (Int32, Int32) = (65536, 1 << 30)
        // Matrix a b u c d v x y w; the corners as they must be shown.
        let cases: [(String, [Int32], [String], (Int, Int))] = [
            ("none", [one, 0, 0, 0, one, 0, 0, 0, w], ["red", "green", "blue", "white"], (64, 32)),
            ("90", [0, one, 0, -one, 0, 0, 32 * one, 0, w], ["blue", "red", "white", "green"], (32, 64)),
            ("180", [-one, 0, 0, 0, -one, 0, 64 * one, 32 * one, w], ["white", "blue", "green", "red"], (64, 32)),
            ("270", [0, -one, 0, one, 0, 0, 0, 64 * one, w], ["green", "white", "red", "blue"], (32, 64)),
            ("hflip", [-one, 0, 0, 0, one, 0, 64 * one, 0, w], ["green", "red", "white", "blue"], (64, 32)),
            ("vflip", [one, 0, 0, 0, -one, 0, 0, 32 * one, w], ["blue", "white", "red", "green"], (64, 32)),
        ]
        for (name, matrix, corners, size) in cases {
            let outcome = try decode(try directory.write("\(name).mp4", try turned(clip, matrix)))
            let frame = try #require(outcome.frames.first, "\(name): \(String(describing: outcome.error))")
            #expect(frame.corners == corners, "\(name)")
            #expect(frame.width == size.0 && frame.height == size.1, "\(name)")
            #expect(!outcome.notes.contains("invalid_rotation"), "\(name)")
        }
        // Any other matrix is no turn: the picture stays as it is coded.
        let strange: [[Int32]] = [
            [46341, 46341, 0, -46341, 46341, 0, 0, 0, w], [one, one, 0, one, one, 0, 0, 0, w],
            [.max, .min, .max, .min, .max, .min, .max, .min, .max], [0, 0, 0, 0, 0, 0, 0, 0, 1],
        ]
        for matrix in strange {
            let outcome = try decode(try directory.write("strange.mp4", try turned(clip, matrix)))
            let frame = try #require(outcome.frames.first, "\(matrix): \(String(describing: outcome.error))")
            #expect(frame.corners == ["red", "green", "blue", "white"], "\(matrix)")
            #expect(frame.width >= 64 && frame.height >= 32 && frame.width * frame.height <= 64 * 320, "\(matrix)")
        }
        let diagonal = try decode(try directory.write("strange.mp4", try turned(clip, strange[0])))
        #expect(diagonal.notes.contains("invalid_rotation"))
    }

    @Test func f14PixelsThatAreNotSquare() throws {
        let directory = try FaultDirectory()
        for (aspect, width, height) in [("2/1", 128, 48), ("1/2", 64, 96), ("64/45", 91, 48), ("1/1", 64, 48)] {
            for name in ["a.mp4", "a.mkv", "a.ts"] {
                let path = try directory.ffmpeg(
                    "-f", "lavfi", "-i", "color=red:s=64x48:r=5:d=1,setsar=\(aspect)", "-c:v", "libx264", name)
                let frame = try #require(try decode(path).frames.first)
                #expect(
                    abs(frame.width - width) <= 1 && abs(frame.height - height) <= 1, "\(aspect) \(name) \(frame.width)"
                )
            }
        }
        // Cropping within the stream is applied.
        let path = try directory.ffmpeg("-f", "lavfi", "-i", "color=red:s=62x46:r=5:d=1", "-c:v", "libx264", "crop.mp4")
        let frame = try #require(try decode(path).frames.first)
        #expect(frame.width == 62 && frame.height == 46)
        #expect(frame.corners == ["red", "red", "red", "red"])
    }

    @Test func f15OddAndExtremeSizes() throws {
        let directory = try FaultDirectory()
        for size in ["1x1", "2x2", "3x5", "17x9", "1x255", "255x1", "2x4096", "4096x2"] {
            let path = try directory.ffmpeg(
                "-f", "lavfi", "-i", "color=red:s=\(size):r=2:d=1,format=yuv444p", "-c:v", "ffv1", "a.mkv")
            let outcome = try decode(path)
            let frame = try #require(outcome.frames.first, "\(size): \(String(describing: outcome.error))")
            #expect("\(frame.width)x\(frame.height)" == size)
            #expect(frame.color(frame.width / 2, frame.height / 2) == "red", "\(size)")
            // The same through the model's preprocessing, which scales it to a square.
            let request = try modelRequest()
            let stream = try FrameStream(try RecordingFile(path: path), request: request)
            var seen = Frame()
            #expect(try stream.next(into: &seen), "\(size)")
            #expect(seen.rgb.count == 336 * 336 * 3)
            stream.cancel()
        }
    }

    private func modelRequest() throws -> FrameRequest {
        var request = FrameRequest(output: .model(.clip(side: 336), resolutionRatio: 1))
        request.watchdog = 300
        return request
    }

    @Test func f16Formats() throws {
        let directory = try FaultDirectory()
        let formats = [
            ("yuv420p", "ffv1"), ("yuv422p", "ffv1"), ("yuv444p", "ffv1"), ("yuv420p10le", "ffv1"),
            ("yuv422p10le", "ffv1"),
            ("yuv444p12le", "ffv1"), ("yuva420p", "ffv1"), ("yuva444p10le", "ffv1"), ("gbrp", "libx264rgb"),
            ("gbrp10le", "ffv1"), ("bgra", "ffv1"), ("yuvj420p", "mjpeg"), ("yuv440p", "ffv1"), ("yuv411p", "ffv1"),
            ("yuv420p", "rawvideo"), ("yuyv422", "rawvideo"), ("yuv420p10le", "libx264"), ("yuv444p", "libx264"),
        ]
        for (format, codec) in formats {
            let codec = codec == "libx264rgb" ? "ffv1" : codec
            let name = codec == "rawvideo" ? "a.avi" : "a.mkv"
            let path = try directory.ffmpeg(
                "-f", "lavfi", "-i", Self.quarters, "-pix_fmt", format, "-c:v", codec, "-strict", "-1", name)
            let outcome = try decode(path)
            let frame = try #require(outcome.frames.first, "\(format) \(codec): \(String(describing: outcome.error))")
            #expect(frame.corners == ["red", "green", "blue", "white"], "\(format) \(codec)")
        }
        for format in ["gray", "gray10le"] {
            let path = try directory.ffmpeg(
                "-f", "lavfi", "-i", "color=white:s=32x32:r=5:d=1,format=\(format)", "-c:v", "ffv1", "gray.mkv")
            let frame = try #require(try decode(path).frames.first)
            #expect(frame.mean > 230, "\(format) \(frame.mean)")
        }
        // The same luma, limited and full, and two matrices: other colors.
        var means: [String: [UInt8]] = [:]
        for (range, matrix) in [("tv", "bt709"), ("pc", "bt709"), ("tv", "smpte170m"), ("tv", "bt2020nc")] {
            let path = try directory.ffmpeg(
                "-f", "lavfi", "-i", "color=black:s=32x32:r=5:d=1,format=yuv420p,geq=lum=100:cb=90:cr=160", "-c:v",
                "libx264",
                "-qp", "5", "-color_range", range, "-colorspace", matrix, "range.mp4")
            means[range + matrix] = try #require(try decode(path).frames.first).pixel(16, 16)
        }
        #expect(Set(means.values).count == 4, "\(means)")
    }

    @Test func f17HighDynamicRange() throws {
        let directory = try FaultDirectory()
        for transfer in ["smpte2084", "arib-std-b67"] {
            let path = try directory.ffmpeg(
                "-f", "lavfi", "-i", "testsrc2=s=64x48:r=5:d=2,format=yuv420p10le", "-c:v", "libx264",
                "-color_primaries",
                "bt2020", "-colorspace", "bt2020nc", "-color_trc", transfer, "hdr.mp4")
            let outcome = try decode(path)
            #expect(outcome.notes.contains("hdr_not_tonemapped"))
            #expect(outcome.frames.count == 2)
            #expect(try decode(path).frames == outcome.frames)
        }
    }

    @Test func f18Interlaced() throws {
        let directory = try FaultDirectory()
        let path = try directory.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=2", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-top",
            "1", "i.ts")
        let outcome = try decode(path)
        #expect(outcome.notes.contains("interlaced"))
        #expect(outcome.frames.count == 2)
        let progressive = try directory.ffmpeg(
            "-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=2", "-c:v", "mpeg2video", "p.ts")
        #expect(try !decode(progressive).notes.contains("interlaced"))
    }

    @Test func f25PicturesBeyondTheLimit() throws {
        let directory = try FaultDirectory()
        let path = try directory.ramp("a.mp4", seconds: 2)
        #expect(try refusal(path) { $0.maxPixels = 64 * 48 - 1 } == .tooLarge)
        #expect(try refusal(path) { $0.maxPixels = 64 * 48 } == nil)
        // Square pixels would make them larger than the limit.
        let wide = try directory.ffmpeg(
            "-f", "lavfi", "-i", "color=red:s=64x48:r=5:d=1,setsar=8/1", "-c:v", "libx264", "wide.mp4")
        #expect(try refusal(wide) { $0.maxPixels = 64 * 48 * 2 } == .tooLarge)
    }

    /// A few kilobytes that claim 65535×65535.
    @Test func f25Bombs() throws {
        let directory = try FaultDirectory()
        let source = "testsrc2=s=64x48:r=5:d=2"
        // JPEG's frame header: FF C0, length 17, 8 bits, height, width.
        for name in ["m.avi", "m.mkv", "m.mov"] {
            try directory.ffmpeg("-f", "lavfi", "-i", source, "-c:v", "mjpeg", name)
            var bytes = try directory.read(name)
            for header in bytes.positions(of: [0xFF, 0xC0, 0, 17, 8]) {
                bytes.put([0xFF, 0xFF, 0xFF, 0xFF], at: header + 5)
            }
            #expect(try isRefused(directory.write("bomb-" + name, bytes)), "\(name)")
        }
        // VP9: profile 0, key frame, sync code, then 16 bits of width and height each less one, 4 bits late.
        try directory.ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libvpx-vp9", "-deadline", "realtime", "v.webm")
        var bytes = try directory.read("v.webm")
        for header in bytes.positions(of: [0x82, 0x49, 0x83, 0x42]) {
            bytes[header + 4] |= 0x0F
            bytes.put([0xFF, 0xFF, 0xFF], at: header + 5)
            bytes[header + 8] |= 0xF0
        }
        #expect(try isRefused(directory.write("bomb.webm", bytes)))
        // The container's own numbers, where there is nothing better.
        try directory.ffmpeg("-f", "lavfi", "-i", source, "-c:v", "rawvideo", "-pix_fmt", "bgr24", "r.avi")
        var raw = try directory.read("r.avi")
        let format = try #require(raw.positions(of: "strf").first)
        raw.put([0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0, 0], at: format + 12)
        #expect(try refusal(directory.write("bomb.avi", raw)) == .tooLarge)
        // Still pictures within a video container are not decoded.
        let png = try directory.ffmpeg("-f", "lavfi", "-i", source, "-c:v", "png", "p.mov")
        #expect(try refusal(png) == .unsupportedCodec)
    }

    /// A clean refusal with half a gigabyte to work in.
    private func isRefused(_ path: String) throws -> Bool {
        guard let code = try refusal(path, { $0.memoryLimit = 1 << 30 }) else { return false }
        return [.tooLarge, .nothingDecoded, .unsupportedFormat, .damagedHeader].contains(code)
    }
}
