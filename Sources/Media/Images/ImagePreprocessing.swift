/// Converts images and video frames to the vision tower's input.
///
/// Steps for a still image: `parts`, then `square` and `normalized` on each part. For a video frame: `frame`, then the
/// same. Source: the reference's `process_images`, `load_video` and `split_image`, and CLIPImageProcessor.
public struct ImagePreprocessing: Sendable, Equatable, Codable {
    /// Supported side lengths of a vision tower's input, in pixels.
    public static let sides = 14...1024

    /// The square's side, in pixels.
    public let side: Int
    /// Mean per channel (red, green, blue), of values rescaled to 0...1.
    public let mean: [Float]
    /// Standard deviation per channel, above 0.
    public let std: [Float]
    /// The way a video frame becomes a square.
    public let frameLayout: FrameLayout
    /// Factor applied to 8-bit values; a Double, because the reference multiplies before it rounds to float32.
    public let rescale: Double
    /// The value in the model's configuration: "pad" pads still images to a square; any other value crops them.
    public let imageAspectRatio: String
    /// The color around padded images: the mean in 8 bits, rounded down.
    let padColor: [UInt8]

    static let clipMean = [0.48145466, 0.4578275, 0.40821073]
    static let clipStd = [0.26862954, 0.26130258, 0.27577711]
    static let clipRescale = 1.0 / 255

    /// CLIP's default values; `side` is clamped to `sides`.
    ///
    /// - Parameter framesAsImages: false lays out frames as in the reference, true as still images.
    public static func clip(
        side: Int, imageAspectRatio: String = "square", framesAsImages: Bool = false
    ) -> ImagePreprocessing {
        ImagePreprocessing(
            side: min(max(side, sides.lowerBound), sides.upperBound), mean: clipMean, std: clipStd,
            rescale: clipRescale,
            frameLayout: defaultLayout(framesAsImages: framesAsImages, imageAspectRatio: imageAspectRatio),
            imageAspectRatio: imageAspectRatio)
    }

    /// LLaVA-Mini's reference squashes frames; LLaVA-v1.5 knows only still images.
    static func defaultLayout(framesAsImages: Bool, imageAspectRatio: String) -> FrameLayout {
        guard framesAsImages else { return .squashNearest }
        return imageAspectRatio == "pad" ? .padBicubic : .cropBicubic
    }

    /// The values must have been checked: three finite means and three finite positive standard deviations.
    init(
        side: Int, mean: [Double], std: [Double], rescale: Double, frameLayout: FrameLayout, imageAspectRatio: String
    ) {
        self.side = side
        self.mean = mean.map { Float($0) }
        self.std = std.map { Float($0) }
        self.rescale = rescale
        self.frameLayout = frameLayout
        self.imageAspectRatio = imageAspectRatio
        padColor = mean.map { UInt8(saturating: max(0, min(255, $0 * 255))) }
    }

    /// Everything that affects the pixels, as one canonical line: equal lines mean equal tower inputs.
    public var identity: String {
        func list(_ values: [some Any]) -> String { values.map { "\($0)" }.joined(separator: ",") }
        return "pictures=1;side=\(side);mean=\(list(mean));std=\(list(std));rescale=\(rescale)"
            + ";still=\(padsImages ? "pad" : "crop");pad=\(list(padColor));frame=\(frameLayout.rawValue)"
    }

    private var padsImages: Bool { imageAspectRatio == "pad" }

    /// The reference resizes frames to this side whatever the tower's side is (`load_video`'s `shape`).
    static let squashSide = 336

    /// A video frame as a square of `side` x `side`, by `frameLayout`.
    public func frame(_ image: RGBImage) -> RGBImage { cropped(layout(image)) }

    /// The squares of `side` x `side` that the tower gets for a video frame; `frame` alone if `n` is below 2.
    ///
    /// Blocks are cut from the laid-out frame, as in the reference, and then enlarged, so they add no detail. Use this
    /// instead of `parts` of `frame` if the tower's side is not 336: `squashNearest` cuts its blocks at 336.
    public func frameParts(_ image: RGBImage, ratio n: Int) -> [RGBImage] {
        parts(layout(image), ratio: n).map(cropped)
    }

    private func layout(_ image: RGBImage) -> RGBImage {
        switch frameLayout {
        case .squashNearest: PillowResize.nearest(image, width: Self.squashSide, height: Self.squashSide)
        case .squashBicubic: PillowResize.bicubic(image, width: side, height: side)
        case .cropBicubic: cropped(image)
        case .padBicubic: padded(image)
        }
    }

    /// A still image, or one part of it or of a frame, as a square of `side` x `side`.
    ///
    /// "pad": centers it on a square of the mean color, then resizes. Otherwise resizes the shorter edge to `side` and
    /// keeps the middle. Returns a square of the right size unchanged.
    public func square(_ image: RGBImage) -> RGBImage {
        padsImages ? padded(image) : cropped(image)
    }

    /// The images that the tower gets for one image: for `n` above 1, its n x n blocks row by row, then the whole.
    ///
    /// Blocks have width / n x height / n pixels, rounded down; the remainder at the right and bottom is in no block.
    /// An image smaller than n pixels repeats its last ones, where the reference fails. `n` below 2 gives the whole
    /// alone.
    public func parts(_ image: RGBImage, ratio n: Int) -> [RGBImage] {
        guard n > 1 else { return [image] }
        let (width, height) = (max(image.width / n, 1), max(image.height / n, 1))
        var parts: [RGBImage] = []
        for row in 0..<n {
            for column in 0..<n {
                let left = min(column * width, image.width - width)
                let top = min(row * height, image.height - height)
                parts.append(image.block(left: left, top: top, width: width, height: height))
            }
        }
        parts.append(image)
        return parts
    }

    /// The tower's input: (value * rescale - mean) / std in float32, shape [3, height, width].
    public func normalized(_ image: RGBImage) -> [Float] {
        let area = image.width * image.height
        return [Float](unsafeUninitializedCapacity: area * 3) { target, count in
            image.pixels.withUnsafeBufferPointer { pixels in
                for channel in 0..<3 {
                    // The reference rescales in float64, rounds to float32, and continues in float32.
                    let table = (0..<256).map { (Float(Double($0) * rescale) - mean[channel]) / std[channel] }
                    for index in 0..<area { target[channel * area + index] = table[Int(pixels[index * 3 + channel])] }
                }
            }
            count = area * 3
        }
    }

    private func padded(_ image: RGBImage) -> RGBImage {
        PillowResize.bicubic(
            ResampleSource(image, expandedToSquareOf: padColor), width: side, height: side,
            columns: 0..<side, rows: 0..<side)
    }

    private func cropped(_ image: RGBImage) -> RGBImage {
        let short = min(image.width, image.height)
        // The reference truncates side * long / short.
        let width = side * image.width / short
        let height = side * image.height / short
        let (left, top) = ((width - side) / 2, (height - side) / 2)
        return PillowResize.bicubic(
            ResampleSource(image), width: width, height: height, columns: left..<(left + side), rows: top..<(top + side)
        )
    }
}
