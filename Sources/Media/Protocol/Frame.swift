/// A sampled frame: the image shown at a grid time, with its own presentation time.
public struct Frame: Sendable {
    /// Index in the sampling, from 0.
    public var index = 0
    /// Seconds from the first presented frame: `index` / frames per second.
    public var gridTime = 0.0
    /// Presentation time in the stream's time base, unwrapped.
    public var pts: Int64 = 0
    /// Presentation time of this frame, in seconds from the first presented frame.
    public var ptsSeconds = 0.0
    /// In pixels, of one part.
    public var width = 0
    /// In pixels, of one part.
    public var height = 0
    /// RGB, row-major; shape [parts, height, width, 3].
    public var rgb: [UInt8] = []

    /// Creates an empty frame, to be filled by `FrameStream.next`.
    public init() {}
}
