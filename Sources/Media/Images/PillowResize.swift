/// Image resizing that matches the reference's libraries bit for bit.
public enum PillowResize {
    /// Resizes as Pillow's `Image.resize(size, BICUBIC)` on an RGB image.
    ///
    /// Antialiased when shrinking, 22-bit fixed point, rounded to 8 bits between the horizontal and the vertical pass.
    /// The vertical pass comes first where the height shrinks by more than twice as much as the width (Pillow 13,
    /// #9549). Sizes below 1 count as 1. Source: Pillow's Resample.c.
    public static func bicubic(_ image: RGBImage, width: Int, height: Int) -> RGBImage {
        let (width, height) = (max(width, 1), max(height, 1))
        return bicubic(
            ResampleSource(image), width: width, height: height, columns: 0..<width, rows: 0..<height)
    }

    /// Resizes by nearest neighbor as the reference's video path: torch's `interpolate(mode: "nearest")`.
    ///
    /// Source index = min(floor(target index * (source size / target size)), source size - 1), in float32. Sizes below
    /// 1 count as 1.
    public static func nearest(_ image: RGBImage, width: Int, height: Int) -> RGBImage {
        let (width, height) = (max(width, 1), max(height, 1))
        if width == image.width && height == image.height { return image }
        let columns = nearestIndices(source: image.width, target: width).map { $0 * 3 }
        let rows = nearestIndices(source: image.height, target: height)
        let stride = image.width * 3
        let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { target, count in
            image.pixels.withUnsafeBufferPointer { source in
                var to = 0
                for row in rows {
                    for column in columns {
                        let from = row * stride + column
                        target[to] = source[from]
                        target[to + 1] = source[from + 1]
                        target[to + 2] = source[from + 2]
                        to += 3
                    }
                }
            }
            count = width * height * 3
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// The source index of each target index along one axis.
    static func nearestIndices(source: Int, target: Int) -> [Int] {
        let scale = Float(source) / Float(target)
        return (0..<target).map { min(Int(saturating: (Float($0) * scale).rounded(.down)), source - 1) }
    }

    /// The part `columns` x `rows` of the image resized to `width` x `height`.
    ///
    /// Computes only what the part needs, so that the middle of a long thin image costs no more than that of another.
    static func bicubic(
        _ source: ResampleSource, width: Int, height: Int, columns: Range<Int>, rows: Range<Int>
    ) -> RGBImage {
        if height < source.height, 2 * (source.width - width) < source.height - height {
            // A padded image is a square and never gets here.
            return bicubic(
                ResampleSource(source.image.transposed), width: height, height: width, columns: rows, rows: columns
            ).transposed
        }
        let horizontal = BicubicTaps(source: source.width, target: width, outputs: columns)
        let vertical = BicubicTaps(source: source.height, target: height, outputs: rows)
        // Padding rows are all equal: resize them once, as the first row.
        let needed = vertical.sourceRange.clamped(to: source.top..<(source.top + source.image.height))
        let rowBytes = columns.count * 3
        var middle = [UInt8](repeating: 0, count: rowBytes * (needed.count + 1))
        middle.withUnsafeMutableBufferPointer { middle in
            var line = [UInt8](repeating: 0, count: source.width * 3)
            line.withUnsafeMutableBufferPointer { line in
                source.fillPadding(line)
                horizontal.applyAcross(UnsafeBufferPointer(line), into: middle, at: 0)
                for (index, row) in needed.enumerated() {
                    source.copyRow(row - source.top, into: line)
                    horizontal.applyAcross(UnsafeBufferPointer(line), into: middle, at: (index + 1) * rowBytes)
                }
            }
        }
        let offsets = vertical.sourceRange.map { needed.contains($0) ? ($0 - needed.lowerBound + 1) * rowBytes : 0 }
        let pixels = [UInt8](unsafeUninitializedCapacity: rowBytes * rows.count) { target, count in
            middle.withUnsafeBufferPointer {
                vertical.applyDown($0, rowOffsets: offsets, rowBytes: rowBytes, into: target)
            }
            count = rowBytes * rows.count
        }
        return RGBImage(width: columns.count, height: rows.count, pixels: pixels)
    }
}

/// An image, optionally centered on a larger square of one color that is never stored in memory.
struct ResampleSource {
    let image: RGBImage
    let width: Int
    let height: Int
    let left: Int
    let top: Int
    let color: [UInt8]

    init(_ image: RGBImage) {
        self.image = image
        (width, height, left, top, color) = (image.width, image.height, 0, 0, [0, 0, 0])
    }

    /// The reference's `expand2square`: the offset at the left or the top is the difference / 2, rounded down.
    init(_ image: RGBImage, expandedToSquareOf color: [UInt8]) {
        self.image = image
        let side = max(image.width, image.height)
        (width, height) = (side, side)
        (left, top) = ((side - image.width) / 2, (side - image.height) / 2)
        self.color = color
    }

    func fillPadding(_ line: UnsafeMutableBufferPointer<UInt8>) {
        for index in 0..<(width * 3) { line[index] = color[index % 3] }
    }

    /// Copies only the image's own columns; the padding around them keeps its fill.
    func copyRow(_ row: Int, into line: UnsafeMutableBufferPointer<UInt8>) {
        let bytes = image.width * 3
        image.pixels.withUnsafeBufferPointer { pixels in
            for index in 0..<bytes { line[left * 3 + index] = pixels[row * bytes + index] }
        }
    }
}
