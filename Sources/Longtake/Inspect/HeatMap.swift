internal import Foundation
package import Media

/// Draws weights of patches over the picture that the model sees.
package struct HeatMap {
    /// Shortest side in pixels of a drawn picture; smaller ones are enlarged.
    package static let leastSide = 336
    /// The share of the color over the picture, where the weight is largest.
    private static let opacity: Float = 0.7
    /// Colors from the least to the largest weight.
    private static let colors: [(Float, Float, Float)] = [
        (0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164),
    ]

    private let picture: RGBImage
    private let weights: [Float]
    private let grid: Int
    private let largest: Float

    /// - Parameters:
    ///   - picture: a square picture as the model sees it.
    ///   - weights: [grid · grid], rows from the top.
    package init(picture: RGBImage, weights: [Float], grid: Int) {
        precondition(weights.count == grid * grid && grid > 0, "a weight per patch")
        let side = max(Self.leastSide, picture.width)
        self.picture =
            picture.width < side ? PillowResize.bicubic(picture, width: side, height: side) : picture
        self.weights = weights
        self.grid = grid
        largest = max(weights.max() ?? 0, .leastNormalMagnitude)
    }

    /// The picture with the weights over it, smoothed between the patches' centers.
    package var image: RGBImage {
        let (width, height) = (picture.width, picture.height)
        var pixels = picture.pixels
        for y in 0..<height {
            let row = Self.position(y, of: height, grid)
            for x in 0..<width {
                let column = Self.position(x, of: width, grid)
                let value = interpolated(row, column) / largest
                let color = Self.color(value)
                let share = Self.opacity * (0.4 + 0.6 * value)
                let at = (y * width + x) * 3
                for (channel, part) in [color.0, color.1, color.2].enumerated() {
                    let mixed = Float(pixels[at + channel]) * (1 - share) + part * share
                    pixels[at + channel] = UInt8(saturating: mixed.rounded())
                }
            }
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// A scalable drawing: the picture, and one rectangle per patch.
    ///
    /// - Parameter title: text above it.
    /// - Throws: `ImageError` if the picture cannot be encoded.
    package func svg(title: String) throws -> String {
        let side = picture.width
        let png = Data(try StillImage.encodePNG(picture)).base64EncodedString()
        let cell = Double(side) / Double(grid)
        func number(_ value: Double) -> String { String(format: "%.2f", value) }
        var lines = [
            #"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -24 \#(side) \#(side + 48)" font-family="sans-serif""#
                + #" font-size="14">"#,
            #"<title>\#(Self.escaped(title))</title>"#,
            #"<text x="0" y="-8">\#(Self.escaped(title))</text>"#,
            #"<image width="\#(side)" height="\#(side)" href="data:image/png;base64,\#(png)"/>"#,
        ]
        for (index, weight) in weights.enumerated() {
            let value = weight / largest
            let color = Self.color(value)
            lines.append(
                #"<rect x="\#(number(Double(index % grid) * cell))" y="\#(number(Double(index / grid) * cell))""#
                    + #" width="\#(number(cell))" height="\#(number(cell))""#
                    + #" fill="rgb(\#(Int(saturating: color.0)),\#(Int(saturating: color.1)),\#(Int(saturating: color.2)))""#
                    + #" fill-opacity="\#(number(Double(Self.opacity * (0.4 + 0.6 * value))))"/>"#)
        }
        let times = number(Double(largest) * Double(grid * grid))
        lines.append(#"<text x="0" y="\#(side + 18)">brightest patch: \#(times) times an even share</text>"#)
        lines.append("</svg>")
        return lines.joined(separator: "\n") + "\n"
    }

    /// The place of a pixel's center between the patches' centers, from 0 to grid - 1.
    private static func position(_ pixel: Int, of count: Int, _ grid: Int) -> Float {
        min(max((Float(pixel) + 0.5) * Float(grid) / Float(count) - 0.5, 0), Float(grid - 1))
    }

    private func interpolated(_ row: Float, _ column: Float) -> Float {
        let (top, left) = (Int(saturating: row), Int(saturating: column))
        let (bottom, right) = (min(top + 1, grid - 1), min(left + 1, grid - 1))
        let (down, across) = (row - Float(top), column - Float(left))
        let upper = weights[top * grid + left] * (1 - across) + weights[top * grid + right] * across
        let lower = weights[bottom * grid + left] * (1 - across) + weights[bottom * grid + right] * across
        return upper * (1 - down) + lower * down
    }

    private static func color(_ value: Float) -> (Float, Float, Float) {
        let place = min(max(value, 0), 1) * Float(colors.count - 1)
        let index = min(Int(saturating: place), colors.count - 2)
        let (a, b, share) = (colors[index], colors[index + 1], place - Float(index))
        return (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share, a.2 + (b.2 - a.2) * share)
    }

    static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }
}
