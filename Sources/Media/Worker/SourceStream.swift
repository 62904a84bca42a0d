import CFFmpeg

/// The stream whose frames are being decoded, and how they are converted.
struct SourceStream {
    let timeBase: TimeBase?
    /// The container's pixel aspect ratio, which takes precedence over the frame's own, as in players.
    private let sampleAspect: AVRational
    let converter: FrameConverter
    /// Edit list of the first stream; a frame of another stream is shown where the plan says.
    let edits: EditList?
    /// True if the container has a display matrix.
    let hasOrientation: Bool
    var codedOrientation = CodedOrientation()

    /// Copies what is needed, because a frame may still be shown after the demuxer has freed its stream.
    init(_ stream: UnsafeMutablePointer<AVStream>, squarePixels: Bool, maxPixels: Int, edits: EditList? = nil) {
        timeBase = TimeBase(stream)
        sampleAspect = stream.pointee.sample_aspect_ratio
        let orientation = Orientation.of(stream).0
        hasOrientation = orientation != nil
        converter = FrameConverter(
            orientation: orientation, squarePixels: squarePixels,
            codec: stream.pointee.codecpar?.pointee.codec_id ?? AV_CODEC_ID_NONE, maxPixels: maxPixels)
        self.edits = edits
    }

    func sampleAspect(of frame: borrowing DecodedFrame) -> AVRational {
        sampleAspect.num > 0 && sampleAspect.den > 0 ? sampleAspect : frame.pointer.pointee.sample_aspect_ratio
    }

    /// Converts a frame's timestamps from the stream's time base to another one.
    func rescaleTimestamps(of frame: borrowing DecodedFrame, to target: TimeBase) {
        guard let timeBase, timeBase != target else { return }
        func rescale(_ value: Int64) -> Int64 {
            value == AV_NOPTS_VALUE ? value : target.units(timeBase.seconds(value))
        }
        frame.pointer.pointee.pts = rescale(frame.pointer.pointee.pts)
        frame.pointer.pointee.best_effort_timestamp = rescale(frame.pointer.pointee.best_effort_timestamp)
        frame.pointer.pointee.pkt_duration = rescale(frame.pointer.pointee.pkt_duration)
    }
}
