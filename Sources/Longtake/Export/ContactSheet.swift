package import Media

/// An image of a recording with its time.
package struct TimedImage {
    let image: RGBImage
    /// Seconds on the file's timeline.
    let seconds: Double

    /// An image shown at a time in seconds.
    package init(image: RGBImage, seconds: Double) {
        self.image = image
        self.seconds = seconds
    }

    /// The image scaled down to at most `width`, keeping its aspect ratio.
    func scaled(toWidth width: Int) -> TimedImage {
        TimedImage(image: ContactSheet.scaled(image, width: width), seconds: seconds)
    }
}

/// A grid of thumbnails of a recording, each with its time in a corner.
package struct ContactSheet {
    /// Pixels between thumbnails.
    private static let gap = 4
    /// Pixels of the sheet per dot of a digit.
    private static let dot = 2

    private let images: [TimedImage]

    /// A sheet of images in this order.
    ///
    /// - Parameter images: already scaled; all cells are as large as the largest image.
    package init(_ images: [TimedImage]) { self.images = images }

    /// The sheet with as many columns as rows, or up to one more; nil without images.
    package func image() -> RGBImage? {
        guard let width = images.map(\.image.width).max(), let height = images.map(\.image.height).max() else {
            return nil
        }
        let columns = Int(saturating: Double(images.count).squareRoot().rounded(.up))
        let rows = (images.count + columns - 1) / columns
        let gap = Self.gap
        let (sheetWidth, sheetHeight) = (columns * (width + gap) + gap, rows * (height + gap) + gap)
        var pixels = [UInt8](repeating: 32, count: sheetWidth * sheetHeight * 3)
        for (index, timed) in images.enumerated() {
            let left = gap + index % columns * (width + gap)
            let top = gap + index / columns * (height + gap)
            let (image, bytes) = (timed.image, timed.image.width * 3)
            for row in 0..<image.height {
                let target = ((top + row) * sheetWidth + left) * 3
                pixels.replaceSubrange(target..<target + bytes, with: image.pixels[row * bytes..<(row + 1) * bytes])
            }
            Self.write(
                TimeText.clock(timed.seconds), left: left, top: top, into: &pixels, width: sheetWidth,
                limit: (left + width, top + height))
        }
        return RGBImage(width: sheetWidth, height: sheetHeight, pixels: pixels)
    }

    /// The image scaled down to at most `width`, keeping its aspect ratio.
    package static func scaled(_ image: RGBImage, width: Int) -> RGBImage {
        guard image.width > width else { return image }
        return PillowResize.bicubic(image, width: width, height: max(1, image.height * width / image.width))
    }

    /// Digits of 3 × 5 dots, as rows of three bits from the top: times need no font.
    private static let digits: [Character: [UInt8]] = [
        "0": [7, 5, 5, 5, 7], "1": [2, 6, 2, 2, 7], "2": [7, 1, 7, 4, 7], "3": [7, 1, 7, 1, 7], "4": [5, 5, 7, 1, 1],
        "5": [7, 4, 7, 1, 7], "6": [7, 4, 7, 5, 7], "7": [7, 1, 1, 2, 2], "8": [7, 5, 7, 5, 7], "9": [7, 5, 7, 1, 7],
        ":": [0, 2, 0, 2, 0],
    ]

    /// Draws white digits on black, clipped at `limit`.
    private static func write(
        _ text: String, left: Int, top: Int, into pixels: inout [UInt8], width: Int, limit: (x: Int, y: Int)
    ) {
        func paint(_ x: Int, _ y: Int, _ value: UInt8) {
            guard x < limit.x, y < limit.y else { return }
            for channel in 0..<3 { pixels[(y * width + x) * 3 + channel] = value }
        }
        for y in 0..<7 * dot {
            for x in 0..<(4 * text.count + 1) * dot { paint(left + x, top + y, 0) }
        }
        for (index, character) in text.enumerated() {
            for (row, bits) in (digits[character] ?? []).enumerated() {
                for column in 0..<3 where bits & (4 >> column) != 0 {
                    for y in 0..<dot {
                        for x in 0..<dot {
                            paint(left + (1 + 4 * index + column) * dot + x, top + (1 + row) * dot + y, 255)
                        }
                    }
                }
            }
        }
    }
}
