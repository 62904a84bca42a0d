import CFFmpeg

/// Holds the frame being shown, by reference instead of a copy.
final class HeldFrame {
    let frame: DecodedFrame

    init() throws { frame = try DecodedFrame() }

    /// Bytes of the frame's planes.
    var pixelBytes: Int {
        let raw = frame.pointer.pointee
        return [raw.buf.0, raw.buf.1, raw.buf.2, raw.buf.3].reduce(0) { $0 + Int($1?.pointee.size ?? 0) }
    }

    func replace(by other: borrowing DecodedFrame) {
        av_frame_unref(frame.pointer)
        if other.hasPixels {
            _ = av_frame_ref(frame.pointer, other.pointer)
        } else {
            frame.copyProperties(of: other)
        }
    }
}
