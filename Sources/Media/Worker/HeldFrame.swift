import CFFmpeg

/// Holds the frame being shown, by reference instead of a copy.
final class HeldFrame {
    let frame: DecodedFrame

    init() throws { frame = try DecodedFrame() }

    func replace(by other: borrowing DecodedFrame) {
        av_frame_unref(frame.pointer)
        _ = av_frame_ref(frame.pointer, other.pointer)
    }
}
