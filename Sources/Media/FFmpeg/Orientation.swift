import CFFmpeg

/// The quarter turns and reflections of a display matrix, applied to pixels.
struct Orientation: Equatable {
    // x' = a·x + c·y, y' = b·x + d·y with a, b, c, d in {-1, 0, 1}, named as in libavutil/display.h.
    var a = 1, b = 0, c = 0, d = 1

    static let upright = Orientation()
    /// Bytes of a display matrix: nine Int32.
    fileprivate static let matrixBytes = 36

    init() {}

    /// The orientation of a display matrix (libavutil/display.h): nine fixed-point values, y pointing down.
    ///
    /// Ignores translation and uniform scale. nil if the matrix is degenerate or not a quarter turn or reflection.
    init?(matrix: UnsafePointer<Int32>) {
        // a, b, c and d are 16.16 values.
        let values = [matrix[0], matrix[1], matrix[3], matrix[4]].map { Double($0) / 65536 }
        let scale = values.map(abs).max() ?? 0
        guard scale > 0.01 else { return nil }
        let signs = values.map { Int(saturating: ($0 / scale).rounded()) }
        // 0.02 allows rotations that are off by about one degree.
        guard zip(values, signs).allSatisfy({ abs($0 / scale - Double($1)) < 0.02 }) else { return nil }
        (a, b, c, d) = (signs[0], signs[1], signs[2], signs[3])
        guard abs(a * d - b * c) == 1 else { return nil }
    }

    /// The orientation in a stream's side data; nil if it has no display matrix.
    ///
    /// A matrix that `init(matrix:)` rejects gives `.upright` and `valid` false.
    static func of(_ stream: UnsafeMutablePointer<AVStream>) -> (Orientation?, valid: Bool) {
        var size = 0
        guard let data = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size), size >= matrixBytes else {
            return (nil, true)
        }
        let found = UnsafeRawPointer(data).withMemoryRebound(to: Int32.self, capacity: 9) { Orientation(matrix: $0) }
        return (found ?? .upright, found != nil)
    }

    /// The orientation in a frame's side data; nil if its display matrix is missing or invalid.
    static func of(_ frame: borrowing DecodedFrame) -> Orientation? {
        guard let found = av_frame_get_side_data(frame.pointer, AV_FRAME_DATA_DISPLAYMATRIX),
            found.pointee.size >= matrixBytes, let data = found.pointee.data
        else { return nil }
        return UnsafeRawPointer(data).withMemoryRebound(to: Int32.self, capacity: 9) { Orientation(matrix: $0) }
    }

    /// Returns the image turned and reflected; quarter turns swap width and height.
    func apply(_ image: RGBImage) -> RGBImage {
        guard self != .upright else { return image }
        let (width, height) = a == 0 ? (image.height, image.width) : (image.width, image.height)
        // A negative coefficient maps to negative coordinates; x0 and y0 move the image back to the origin.
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

/// The display orientation SEI message of H.264 and HEVC, which applies to all frames up to the next key frame.
///
/// libavcodec attaches it only to the frame that carries the message. Source: ITU-T H.264, D.2.27; H.265, D.3.17.
struct CodedOrientation {
    private var matrix: [UInt8] = []

    /// Copies the last display matrix to a frame that has none; a key frame without one ends it.
    ///
    /// Call it for every frame, in decoder output order.
    mutating func carry(_ frame: borrowing DecodedFrame) {
        if let found = av_frame_get_side_data(frame.pointer, AV_FRAME_DATA_DISPLAYMATRIX), let data = found.pointee.data
        {
            matrix = Array(UnsafeBufferPointer(start: data, count: min(found.pointee.size, Orientation.matrixBytes)))
            return
        }
        if frame.pointer.pointee.key_frame != 0 { matrix = [] }
        guard matrix.count == Orientation.matrixBytes,
            let added = av_frame_new_side_data(frame.pointer, AV_FRAME_DATA_DISPLAYMATRIX, matrix.count)
        else { return }
        added.pointee.data?.update(from: matrix, count: matrix.count)
    }
}
