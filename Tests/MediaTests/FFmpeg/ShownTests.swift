import Foundation
import Media
import TestSupport
import Testing

/// What a file says about how its pictures are to be shown.
@Suite struct ShownTests {
    struct Gray: CustomTestStringConvertible, Sendable {
        let container: String
        let format: String
        let options: [String]
        let isLimited: Bool
        var testDescription: String { "\(format) \(options.joined(separator: " "))" }
    }

    private static let grays = [
        Gray(
            container: "mkv", format: "gray",
            options: ["-c:v", "libx265", "-x265-params", "range=limited:log-level=error"], isLimited: true),
        Gray(
            container: "mkv", format: "gray",
            options: ["-c:v", "libx265", "-x265-params", "range=full:log-level=error"], isLimited: false),
        Gray(
            container: "mp4", format: "gray10le",
            options: ["-c:v", "libx265", "-x265-params", "range=limited:log-level=error"], isLimited: true),
        Gray(container: "mp4", format: "gray", options: ["-c:v", "libx264", "-color_range", "tv"], isLimited: true),
        Gray(container: "mkv", format: "gray", options: ["-c:v", "ffv1", "-color_range", "tv"], isLimited: true),
        Gray(container: "mkv", format: "gray", options: ["-c:v", "ffv1"], isLimited: false),
        Gray(
            container: "mkv", format: "gray", options: ["-c:v", "libaom-av1", "-cpu-used", "8", "-color_range", "tv"],
            isLimited: true),
        Gray(
            container: "mp4", format: "gray", options: ["-c:v", "libaom-av1", "-cpu-used", "8", "-color_range", "pc"],
            isLimited: false),
        Gray(
            container: "webm", format: "gray10le",
            options: ["-c:v", "libaom-av1", "-cpu-used", "8", "-color_range", "tv"], isLimited: true),
        Gray(container: "mkv", format: "gray12le", options: ["-c:v", "ffv1", "-color_range", "pc"], isLimited: false),
    ]

    /// A picture whose luma is 16 in the left half and 235 in the right one.
    @Test(arguments: grays) func grayIsExpandedByItsRange(_ gray: Gray) throws {
        let directory = try DecodeDirectory()
        let raw = directory.file("raw.gray")
        let row = [UInt8](repeating: 16, count: 32) + [UInt8](repeating: 235, count: 32)
        try Data((0..<64 * 5).flatMap { _ in row }).write(to: URL(fileURLWithPath: raw))
        let path = directory.file("gray." + gray.container)
        try RealTool.ffmpeg(
            ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "64x64", "-r", "5", "-i", raw, "-pix_fmt", gray.format]
                + gray.options + [path])
        let frame = try #require(try SampledFrames(path).frames.first)
        func level(_ x: Int) -> Int { Int(frame.rgb[(32 * 64 + x) * 3]) }
        let wanted = gray.isLimited ? (0, 255) : (16, 235)
        #expect(abs(level(8) - wanted.0) <= 2 && abs(level(56) - wanted.1) <= 2, "\(level(8)), \(level(56))")
    }

    /// A gray JPEG with 16 on the left and 235 on the right, as a JPEG library writes it: no encoder of ffmpeg makes gray ones.
    private static let grayJPEG =
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAIBAQEBAQIBAQECAgICAgQDAgICAgUEBAMEBgUGBgYFBgYGBwkIBgcJBwYGCAsICQoKCgoKBggL"
        + "DAsKDAkKCgr/wAALCABAAEABAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQR"
        + "BRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4"
        + "eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEB"
        + "AAA/APw/ooor+2yiiiv4k6KKK/tsooor+JOiiiv7bKKKK/iTooor+2yiiiv4k6KKK/tsooor+JOiiiv7bKKKK/iTooor+2yiiiv4k6KKK/ts"
        + "ooor/9k="

    @Test(arguments: ["avi", "mov", "mkv"]) func grayMotionJPEGIsFullRange(container: String) throws {
        let directory = try DecodeDirectory()
        let picture = try #require(Data(base64Encoded: Self.grayJPEG))
        let raw = directory.file("gray.mjpeg")
        try Data((0..<5).flatMap { _ in picture }).write(to: URL(fileURLWithPath: raw))
        let path = directory.file("gray." + container)
        try RealTool.ffmpeg(["-f", "mjpeg", "-framerate", "5", "-i", raw, "-c", "copy", path])
        let frame = try #require(try SampledFrames(path).frames.first)
        func level(_ x: Int) -> Int { Int(frame.rgb[(32 * 64 + x) * 3]) }
        #expect(abs(level(8) - 16) <= 2 && abs(level(56) - 235) <= 2, "\(level(8)), \(level(56))")
    }

    /// Planes Y, Cg, Co of plain colors, made here and encoded without loss.
    @Test(arguments: [[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 120, 40]], [true, false])
    func yCgCoIsConverted(color: [Int], isFull: Bool) throws {
        let directory = try DecodeDirectory()
        let (r, g, b) = (Double(color[0]), Double(color[1]), Double(color[2]))
        let (y, cg, co) = (r / 4 + g / 2 + b / 4, -r / 4 + g / 2 - b / 4, r / 2 - b / 2)
        let values =
            isFull ? [y, cg + 128, co + 128] : [y * 219 / 255 + 16, cg * 224 / 255 + 128, co * 224 / 255 + 128]
        let planes = values.flatMap { [UInt8](repeating: UInt8(min(max($0.rounded(), 0), 255)), count: 64 * 64) }
        let raw = directory.file("raw.yuv")
        try Data((0..<3).flatMap { _ in planes }).write(to: URL(fileURLWithPath: raw))
        let path = directory.file("ycgco.mkv")
        try RealTool.ffmpeg([
            "-f", "rawvideo", "-pix_fmt", "yuv444p", "-s", "64x64", "-r", "3", "-i", raw, "-c:v", "libx264", "-qp", "0",
            "-colorspace",
            "ycgco", "-color_range", isFull ? "pc" : "tv", path,
        ])
        let frame = try #require(try SampledFrames(path).frames.first)
        for channel in 0..<3 {
            let found = Int(frame.rgb[(32 * 64 + 32) * 3 + channel])
            #expect(abs(found - color[channel]) <= 4, "channel \(channel) is \(found)")
        }
    }

    @Test func otherMatricesAreNoted() throws {
        let directory = try DecodeDirectory()
        for (name, isNoted) in [("ictcp", true), ("bt2020c", true), ("bt709", false), ("bt2020nc", false)] {
            let path = directory.file(name + ".mkv")
            try RealTool.ffmpeg([
                "-f", "lavfi", "-i", "testsrc2=s=64x64:r=3:d=1", "-c:v", "libx265", "-x265-params",
                "log-level=error:colormatrix=\(name)",
                "-pix_fmt", "yuv420p", path,
            ])
            let found = try SampledFrames(path)
            #expect(found.result.notes.contains { $0.code == "color_matrix" } == isNoted, "\(name)")
        }
    }

    /// Replaces the edit list of a file whose movie and track count in thousandths and 10240ths.
    private func withEdits(_ bytes: [UInt8], _ edits: [(milliseconds: Int, media: Int, rate: Int)]) throws -> [UInt8] {
        var bytes = bytes
        func put(_ value: Int, _ count: Int = 4) -> [UInt8] {
            (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        let found = try #require(bytes.positions(of: "elst").first) - 4
        let old = bytes[found..<found + 4].reduce(0) { $0 << 8 | Int($1) }
        let content = edits.flatMap { put($0.milliseconds) + put($0.media) + put($0.rate) }
        let list = put(16 + content.count) + Array("elst".utf8) + put(0) + put(edits.count) + content
        let added = list.count - old
        for parent in ["moov", "trak", "edts"] {
            let at = try #require(bytes.positions(of: parent).first) - 4
            bytes.put(put(bytes[at..<at + 4].reduce(0) { $0 << 8 | Int($1) } + added), at: at)
        }
        bytes.replaceSubrange(found..<found + old, with: list)
        return bytes
    }

    @Test func anEmptyEditBetweenOthersShowsTheImageBefore() throws {
        let directory = try DecodeDirectory()
        let plain = directory.file("plain.mp4")
        try NumberedImages.encode(
            0..<200,
            options: [
                "-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "10",
                "-video_track_timescale", "10240",
            ], to: plain)
        // The movie box is behind the media: nothing moves when it grows.
        let path = directory.file("edited.mp4")
        let edits = [(10_000, 0, 0x10000), (5000, -1, 0x10000), (10_000, 102_400, 0x10000)]
        try Data(try withEdits([UInt8](Data(contentsOf: URL(fileURLWithPath: plain))), edits)).write(
            to: URL(fileURLWithPath: path))
        let found = try SampledFrames(path)
        let numbers = found.frames.map { NumberedImages.number(rgb: $0.rgb, width: $0.width, height: $0.height) }
        #expect(numbers.prefix(10).elementsEqual((0..<10).map { $0 * 10 }), "\(numbers)")
        #expect(numbers.dropFirst(10).prefix(5).allSatisfy { $0 == 99 }, "\(numbers)")
        #expect(numbers.dropFirst(15).elementsEqual((0..<10).map { 100 + $0 * 10 }), "\(numbers)")
        #expect(found.result.notes.contains { $0.code == "empty_edit" })
    }

    @Test func aRateOfAnEditIsNoted() throws {
        let directory = try DecodeDirectory()
        let plain = directory.file("plain.mp4")
        try NumberedImages.encode(0..<100, to: plain)
        let path = directory.file("edited.mp4")
        let edits = [(10_000, 1024, 0x8000)]
        try Data(try withEdits([UInt8](Data(contentsOf: URL(fileURLWithPath: plain))), edits)).write(
            to: URL(fileURLWithPath: path))
        #expect(try SampledFrames(path).result.notes.contains { $0.code == "edit_rate" })
        #expect(try SampledFrames(plain).result.notes.isEmpty)
    }
}
