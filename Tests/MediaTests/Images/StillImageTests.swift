import Foundation
import Media
import Testing

@Suite struct StillImageTests {
    private let sample = "case10_preprocess/png/img3_100x80.png"

    /// What `ffmpeg` makes of the sample, or of what `input` says.
    private func converted(_ arguments: [String], as name: String, input: [String]? = nil) throws -> [UInt8] {
        let folder = FileManager.default.temporaryDirectory.appending(path: "longtake-still-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let target = folder.appending(path: name)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        let source = input ?? ["-i", ImageGolden.folder.appending(path: sample).path]
        process.arguments =
            ["ffmpeg", "-v", "error", "-nostdin"] + source + arguments + ["-frames:v", "1", target.path]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return [UInt8](try Data(contentsOf: target))
    }

    private func code(_ bytes: [UInt8]) -> ImageError.Code? {
        do {
            _ = try StillImage.decode(bytes)
            return nil
        } catch { return (error as? ImageError)?.code }
    }

    private func meanDifference(_ left: RGBImage, _ right: RGBImage) -> Double {
        guard left.pixels.count == right.pixels.count else { return .infinity }
        let sum = zip(left.pixels, right.pixels).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
        return Double(sum) / Double(left.pixels.count)
    }

    @Test func `PNG survives a round trip`() throws {
        let picture = try ImageGolden.picture(sample)
        #expect(picture.size == [100, 80])
        #expect(try StillImage.decode(StillImage.encodePNG(picture)) == picture)
        let dot = RGBImage(width: 1, height: 1, pixels: [1, 2, 3])
        #expect(try StillImage.decode(StillImage.encodePNG(dot)) == dot)
    }

    @Test func `JPEG keeps the colors of smooth pictures, of any size, and its bytes are always the same`() throws {
        for (width, height) in [(1, 1), (2, 1), (7, 5), (16, 16), (320, 181)] {
            let pixels = (0..<width * height).flatMap { index -> [UInt8] in
                let (x, y) = (index % width, index / width)
                return [UInt8(40 + x / 2), UInt8(200 - y / 2), 90]
            }
            let picture = RGBImage(width: width, height: height, pixels: pixels)
            let bytes = try StillImage.encodeJPEG(picture)
            #expect(try StillImage.encodeJPEG(picture) == bytes)
            #expect(bytes.prefix(3) == [0xFF, 0xD8, 0xFF] && bytes.suffix(2) == [0xFF, 0xD9])
            let read = try StillImage.decode(bytes)
            #expect(read.size == [width, height])
            #expect(meanDifference(read, picture) < 6, "\(width) × \(height)")
        }
        for color in [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 130, 90]] as [[UInt8]] {
            let picture = RGBImage(width: 16, height: 16, pixels: (0..<256).flatMap { _ in color })
            let read = try StillImage.decode(StillImage.encodeJPEG(picture, scale: 2))
            #expect(meanDifference(read, picture) < 3, "\(color)")
        }
        let noise = try ImageGolden.picture(sample)
        let (fine, coarse) = (try StillImage.encodeJPEG(noise, scale: 2), try StillImage.encodeJPEG(noise, scale: 31))
        #expect(coarse.count < fine.count && fine.count < noise.pixels.count)
    }

    @Test(arguments: ["rgba", "rgb48be", "rgba64be"])
    func `PNG with alpha or 16 bits keeps the 8-bit colors`(format: String) throws {
        let picture = try ImageGolden.picture(sample)
        let made = try StillImage.decode(converted(["-pix_fmt", format], as: "p.png"))
        // ffmpeg's own way to 16 bits rounds.
        #expect(meanDifference(made, picture) <= (format == "rgba" ? 0 : 1))
    }

    @Test(arguments: ["gray", "ya8", "gray16be", "ya16be", "monob"])
    func `gray PNG is repeated in every channel`(format: String) throws {
        let made = try StillImage.decode(converted(["-pix_fmt", format], as: "p.png"))
        #expect(made.size == [100, 80])
        #expect((0..<8000).allSatisfy { made.pixels[$0 * 3] == made.pixels[$0 * 3 + 1] })
        #expect((0..<8000).allSatisfy { made.pixels[$0 * 3] == made.pixels[$0 * 3 + 2] })
        #expect(Set(made.pixels).count > 1)
        if format == "monob" { #expect(Set(made.pixels) == [0, 255]) }
    }

    @Test func `palettes are looked up`() throws {
        let input = ["-f", "lavfi", "-i", "color=c=0x1020C0:s=30x20:d=0.04"]
        let made = try StillImage.decode(
            converted(
                ["-vf", "format=rgb24,split[a][b];[a]palettegen[p];[b][p]paletteuse", "-pix_fmt", "pal8"], as: "p.png",
                input: input))
        #expect(made.size == [30, 20])
        // The color passes through ffmpeg's own YUV on its way.
        #expect(zip(made.pixels, [0x10, 0x20, 0xC0]).allSatisfy { abs(Int($0) - $1) <= 3 })
    }

    @Test(arguments: [
        ("yuvj420p", [0xC0, 0x20, 0x10]), ("yuvj422p", [0x10, 0xC0, 0x20]), ("yuvj444p", [0xFF, 0xFF, 0xFF]),
        ("yuvj444p", [0, 0, 0]),
    ])
    func `JPEG has full range BT.601 colors`(format: String, color: [Int]) throws {
        let text = color.map { String($0 + 256, radix: 16).dropFirst() }.joined()
        let input = ["-f", "lavfi", "-i", "color=c=0x\(text):s=64x48:d=0.04,format=rgb24"]
        let arguments = ["-vf", "scale=out_range=full:out_color_matrix=bt601", "-pix_fmt", format, "-q:v", "1"]
        let made = try StillImage.decode(converted(arguments, as: "p.jpg", input: input))
        #expect(made.size == [64, 48])
        for (index, value) in made.pixels.enumerated() where abs(Int(value) - color[index % 3]) > 3 {
            Issue.record("\(value) at \(index)")
            break
        }
    }

    @Test func `JPEG and WebP come near the picture they were made of`() throws {
        let smooth = PillowResize.bicubic(try ImageGolden.picture(sample), width: 10, height: 8)
        let picture = PillowResize.bicubic(smooth, width: 200, height: 160)
        let folder = FileManager.default.temporaryDirectory.appending(path: "longtake-still-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let source = folder.appending(path: "source.png")
        try Data(StillImage.encodePNG(picture)).write(to: source)
        let input = ["-i", source.path]
        let range = ["-vf", "scale=out_range=full:out_color_matrix=bt601", "-pix_fmt", "yuvj444p", "-q:v", "1"]
        #expect(meanDifference(try StillImage.decode(converted(range, as: "p.jpg", input: input)), picture) < 2)
        let lossy = ["-c:v", "libwebp", "-pix_fmt", "yuv420p", "-quality", "95"]
        #expect(meanDifference(try StillImage.decode(converted(lossy, as: "p.webp", input: input)), picture) < 4)
        let lossless = ["-c:v", "libwebp", "-pix_fmt", "bgra", "-lossless", "1"]
        #expect(try StillImage.decode(converted(lossless, as: "p.webp", input: input)) == picture)
    }

    @Test func `what is no picture is refused by name`() throws {
        #expect(code([]) == .empty)
        #expect(code(Array("GIF89a, not read".utf8)) == .unsupported)
        #expect(code([0x89]) == .unsupported)
        var png = try ImageGolden.bytes(sample)
        png.replaceSubrange(16..<20, with: [0, 0, 0, 0])
        #expect(code(png) == .empty)
        png.replaceSubrange(16..<20, with: [0x7F, 0xFF, 0xFF, 0xFF])
        #expect(code(png) == .tooLarge)
        png.replaceSubrange(16..<24, with: [0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF])
        #expect(code(png) == .tooLarge)
    }

    @Test(arguments: ["p.png", "p.jpg", "p.webp"])
    func `cut and damaged files throw or decode, and never trap`(name: String) throws {
        let whole = try name == "p.png" ? ImageGolden.bytes(sample) : converted([], as: name)
        let picture = try StillImage.decode(whole)
        #expect(picture.size == [100, 80])
        for count in stride(from: 0, to: whole.count, by: max(whole.count / 60, 1)) {
            let cut = Array(whole.prefix(count))
            if name == "p.png" { #expect(code(cut) != nil, "cut to \(count)") } else { _ = code(cut) }
        }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var bytes = whole
            for _ in 0..<4 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255) }
            _ = code(bytes)
        }
    }
}
