import CFFmpeg

/// The frame being shown, held by reference; converted only when a grid time needs it.
struct ShownFrame {
    /// The images to send for a frame: RGB, shape [parts, height, width, 3].
    struct Pixels {
        let width: Int
        let height: Int
        let parts: Int
        let bytes: [UInt8]
    }

    private let output: FrameRequest.Output
    private let stages: StageTimer
    private var held: HeldFrame?
    private var source: SourceStream?
    private var sampleAspect = AVRational(num: 0, den: 1)
    private var converted: Pixels?
    /// The image that was preprocessed last, and the result.
    private var last: (image: RGBImage, pixels: [UInt8])?
    /// Timestamp in the first stream's time base, unwrapped.
    private(set) var pts: Int64 = 0
    /// Seconds from the first frame.
    private(set) var seconds = 0.0
    /// True if the frame was sampled already; then a further grid time repeats it.
    var isSampled = false
    /// True if the frame has no pixels: it was not decoded, or they were not kept, because it is not sampled.
    private(set) var isSkipped = false

    /// Maximum image bytes kept for reuse; larger than 4K, a still scene is preprocessed again for each frame to bound
    /// memory.
    private static let largestKept = 3 * 4096 * 2160

    init(output: FrameRequest.Output, stages: StageTimer) {
        self.output = output
        self.stages = stages
    }

    /// True until the first frame is shown.
    private(set) var isEmpty = true

    /// Shows another frame.
    mutating func show(_ frame: borrowing DecodedFrame, of source: SourceStream, pts: Int64, seconds: Double) throws {
        self.pts = pts
        self.seconds = seconds
        converted = nil
        isSampled = false
        (isEmpty, isSkipped) = (false, !frame.hasPixels)
        let holder = try held ?? HeldFrame()
        holder.replace(by: frame)
        held = holder
        self.source = source
        sampleAspect = source.sampleAspect(of: frame)
    }

    /// Shows a frame that is not decoded.
    mutating func skip(pts: Int64, seconds: Double) {
        self.pts = pts
        self.seconds = seconds
        converted = nil
        isSampled = false
        (isEmpty, isSkipped) = (false, true)
    }

    /// Converts the frame, once, to what the request asks for.
    mutating func pixels() throws -> Pixels {
        if let converted { return converted }
        guard let held, let source, !isSkipped else { throw MediaError.library("no frame is shown") }
        let image = try stages.measure(.converting) {
            try source.converter.convert(held.frame, sampleAspect: sampleAspect)
        }
        let pixels = stages.measure(.resizing) { preprocessed(image) }
        converted = pixels
        return pixels
    }

    private mutating func preprocessed(_ image: RGBImage) -> Pixels {
        guard case .model(let preprocessing, let ratio) = output else {
            return Pixels(width: image.width, height: image.height, parts: 1, bytes: image.pixels)
        }
        let (side, parts) = (preprocessing.side, ratio > 1 ? ratio * ratio + 1 : 1)
        if let last, last.image.width == image.width, last.image.height == image.height,
            isSame(last.image.pixels, image.pixels)
        {
            return Pixels(width: side, height: side, parts: parts, bytes: last.pixels)
        }
        let bytes = preprocessing.frameParts(image, ratio: ratio).flatMap(\.pixels)
        last = image.pixels.count <= Self.largestKept ? (image, bytes) : nil
        return Pixels(width: side, height: side, parts: parts, bytes: bytes)
    }
}
