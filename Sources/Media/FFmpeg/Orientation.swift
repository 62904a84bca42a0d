import CFFmpeg

/// The quarter turns and mirrorings of a display matrix, applied to pixels.
struct Orientation: Equatable {
    // x' = a·x + c·y, y' = b·x + d·y, each -1, 0 or 1.
    var a = 1, b = 0, c = 0, d = 1

    static let upright = Orientation()

    init() {}

    /// The matrix of a stream as libavformat hands it over (nine 16.16 and 2.30 numbers, y downwards); nil where it is none
    /// or no multiple of a quarter turn.
    init?(matrix: UnsafePointer<Int32>) {
        let values = [matrix[0], matrix[1], matrix[3], matrix[4]].map { Double($0) / 65536 }
        let scale = values.map(abs).max() ?? 0
        guard scale > 0.01 else { return nil }
        let signs = values.map { Int(saturating: ($0 / scale).rounded()) }
        // Within about a degree.
        guard zip(values, signs).allSatisfy({ abs($0 / scale - Double($1)) < 0.02 }) else { return nil }
        (a, b, c, d) = (signs[0], signs[1], signs[2], signs[3])
        guard abs(a * d - b * c) == 1 else { return nil }
    }

    /// The display matrix among a stream's side data; nil in the second place when there is one that makes no sense.
    static func of(_ stream: UnsafeMutablePointer<AVStream>) -> (Orientation, valid: Bool) {
        var size = 0
        guard let data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size), size >= 36 else {
            return (.upright, true)
        }
        let found = UnsafeRawPointer(data).withMemoryRebound(to: Int32.self, capacity: 9) { Orientation(matrix: $0) }
        return (found ?? .upright, found != nil)
    }

    func apply(_ image: RGBImage) -> RGBImage {
        guard self != .upright else { return image }
        let (width, height) = a == 0 ? (image.height, image.width) : (image.width, image.height)
        // Where negative, the picture is moved back into view.
        let x0 = (a < 0 || c < 0) ? width - 1 : 0
        let y0 = (b < 0 || d < 0) ? height - 1 : 0
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { out, count in
            image.pixels.withUnsafeBufferPointer { source in
                for y in 0..<image.height {
                    for x in 0..<image.width {
                        let target = ((y0 + b * x + d * y) * width + x0 + a * x + c * y) * 3
                        let from = (y * image.width + x) * 3
                        out[target] = source[from]
                        out[target + 1] = source[from + 1]
                        out[target + 2] = source[from + 2]
                    }
                }
            }
            count = width * height * 3
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }
}
