import CFFmpeg

/// The quarter turns and reflections of a display matrix, applied to pixels.
struct Orientation: Equatable {
    // x' = a·x + c·y, y' = b·x + d·y, each -1, 0 or 1.
    var a = 1, b = 0, c = 0, d = 1

    static let upright = Orientation()

    init() {}

    /// The orientation of a display matrix as libavformat returns it: nine 16.16 and 2.30 values, y pointing down.
    ///
    /// nil if the matrix is degenerate or not a multiple of a quarter turn.
    init?(matrix: UnsafePointer<Int32>) {
        let values = [matrix[0], matrix[1], matrix[3], matrix[4]].map { Double($0) / 65536 }
        let scale = values.map(abs).max() ?? 0
        guard scale > 0.01 else { return nil }
        let signs = values.map { Int(saturating: ($0 / scale).rounded()) }
        // Within about one degree.
        guard zip(values, signs).allSatisfy({ abs($0 / scale - Double($1)) < 0.02 }) else { return nil }
        (a, b, c, d) = (signs[0], signs[1], signs[2], signs[3])
        guard abs(a * d - b * c) == 1 else { return nil }
    }

    /// The display matrix in a stream's side data; nil if it has none.
    ///
    /// `valid` is false if there is a matrix that makes no sense.
    static func of(_ stream: UnsafeMutablePointer<AVStream>) -> (Orientation?, valid: Bool) {
        var size = 0
        guard let data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size), size >= 36 else {
            return (nil, true)
        }
        let found = UnsafeRawPointer(data).withMemoryRebound(to: Int32.self, capacity: 9) { Orientation(matrix: $0) }
        return (found ?? .upright, found != nil)
    }

    /// The display matrix in a frame's side data; nil if it has none or an invalid one.
    static func of(_ frame: borrowing DecodedFrame) -> Orientation? {
        guard let found = av_frame_get_side_data(frame.pointer, AV_FRAME_DATA_DISPLAYMATRIX), found.pointee.size >= 36,
            let data = found.pointee.data
        else { return nil }
        return UnsafeRawPointer(data).withMemoryRebound(to: Int32.self, capacity: 9) { Orientation(matrix: $0) }
    }

    func apply(_ image: RGBImage) -> RGBImage {
        guard self != .upright else { return image }
        let (width, height) = a == 0 ? (image.height, image.width) : (image.width, image.height)
        // Where the matrix maps to negative coordinates, move the image back into view.
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

/// The display orientation that H.264 and HEVC code in the video stream, valid from one key frame to the next.
///
/// libavcodec attaches it only to the frame it is coded with. Source: ITU-T H.264, D.2.27; H.265, D.3.17.
struct CodedOrientation {
    private var matrix: [UInt8] = []

    /// Gives a frame without an orientation that of the frames before it.
    ///
    /// Frames must come in decoder output order.
    mutating func carry(_ frame: borrowing DecodedFrame) {
        if let found = av_frame_get_side_data(frame.pointer, AV_FRAME_DATA_DISPLAYMATRIX), let data = found.pointee.data
        {
            matrix = Array(UnsafeBufferPointer(start: data, count: min(found.pointee.size, 36)))
            return
        }
        if frame.pointer.pointee.key_frame != 0 { matrix = [] }
        guard matrix.count == 36,
            let added = av_frame_new_side_data(frame.pointer, AV_FRAME_DATA_DISPLAYMATRIX, matrix.count)
        else { return }
        added.pointee.data?.update(from: matrix, count: matrix.count)
    }
}
