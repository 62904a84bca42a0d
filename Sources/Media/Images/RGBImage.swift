import Glibc

/// True if two images have the same bytes.
package func isSame(_ pixels: [UInt8], _ others: [UInt8]) -> Bool {
    guard pixels.count == others.count else { return false }
    return pixels.withUnsafeBytes { a in
        others.withUnsafeBytes { b in
            guard let first = a.baseAddress, let second = b.baseAddress else { return true }
            return memcmp(first, second, a.count) == 0
        }
    }
}

/// An image of 8-bit RGB pixels.
///
/// `pixels` is row-major, three bytes per pixel, `width * height * 3` bytes, with no padding between rows.
public struct RGBImage: Sendable, Equatable {
    /// In pixels, at least 1.
    public private(set) var width: Int
    /// In pixels, at least 1.
    public private(set) var height: Int
    /// RGB bytes; shape [height, width, 3].
    public private(set) var pixels: [UInt8]

    /// Creates an image; sizes that do not match `pixels` are a programming error, since decoders check them first.
    public init(width: Int, height: Int, pixels: [UInt8]) {
        let (area, overflow) = width.multipliedReportingOverflow(by: height)
        let (count, tooMany) = area.multipliedReportingOverflow(by: 3)
        precondition(width > 0 && height > 0 && !overflow && !tooMany && count == pixels.count, "sizes must fit")
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// The block at (`left`, `top`), which must lie inside the image.
    func block(left: Int, top: Int, width: Int, height: Int) -> RGBImage {
        var result: [UInt8] = []
        result.reserveCapacity(width * height * 3)
        for row in top..<(top + height) {
            let start = (row * self.width + left) * 3
            result.append(contentsOf: pixels[start..<(start + width * 3)])
        }
        return RGBImage(width: width, height: height, pixels: result)
    }

    /// The image with rows and columns exchanged.
    var transposed: RGBImage {
        let result = [UInt8](unsafeUninitializedCapacity: pixels.count) { target, count in
            pixels.withUnsafeBufferPointer { source in
                for row in 0..<height {
                    for column in 0..<width {
                        let (to, from) = ((column * height + row) * 3, (row * width + column) * 3)
                        target[to] = source[from]
                        target[to + 1] = source[from + 1]
                        target[to + 2] = source[from + 2]
                    }
                }
            }
            count = pixels.count
        }
        return RGBImage(width: height, height: width, pixels: result)
    }
}
