import Foundation

/// Numbered images: image i shows i as 16 light and dark areas, so that a decoded frame tells which image it is.
///
/// The areas are two rows of eight; area b is light if bit b of the number is set.
public enum NumberedImages {
    private static let (dark, light, middle) = (UInt8(30), UInt8(220), 125)

    /// One gray image of `width * height` bytes.
    public static func gray(_ number: Int, width: Int, height: Int) -> [UInt8] {
        var pixels = [UInt8](repeating: dark, count: width * height)
        for bit in 0..<16 where number >> bit & 1 == 1 {
            let (row, column) = (bit / 8, bit % 8)
            for y in row * height / 2..<(row + 1) * height / 2 {
                for x in column * width / 8..<(column + 1) * width / 8 { pixels[y * width + x] = light }
            }
        }
        return pixels
    }

    /// The number shown by an RGB image of `width * height * 3` bytes; any image decodes to some number.
    public static func number(rgb: [UInt8], width: Int, height: Int) -> Int {
        var number = 0
        for bit in 0..<16 {
            let (row, column) = (bit / 8, bit % 8)
            let (y, x) = (row * height / 2 + height / 4, column * width / 8 + width / 16)
            var sum = 0
            for dy in -2..<2 {
                for dx in -2..<2 { sum += Int(rgb[((y + dy) * width + x + dx) * 3 + 1]) }
            }
            if sum / 16 > middle { number |= 1 << bit }
        }
        return number
    }

    /// Encodes the images `numbers` with ffmpeg.
    ///
    /// - Parameters:
    ///   - rate: frames per second, as ffmpeg's `-r` takes it.
    ///   - options: ffmpeg's output options, including the codec's.
    ///   - path: the file to write; its suffix selects the container.
    public static func encode(
        _ numbers: some Sequence<Int>, width: Int = 256, height: Int = 144, rate: String = "10",
        options: [String] = ["-c:v", "libx264", "-preset", "superfast", "-pix_fmt", "yuv420p", "-bf", "2", "-g", "20"],
        to path: String
    ) throws {
        let raw = path + ".gray"
        defer { try? FileManager.default.removeItem(atPath: raw) }
        try Data(numbers.flatMap { gray($0, width: width, height: height) }).write(to: URL(fileURLWithPath: raw))
        try RealTool.ffmpeg(
            ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "\(width)x\(height)", "-r", rate, "-i", raw] + options + [path]
        )
    }
}
