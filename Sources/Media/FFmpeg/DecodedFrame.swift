import CFFmpeg

/// Owns an AVFrame.
struct DecodedFrame: ~Copyable {
    let pointer: UnsafeMutablePointer<AVFrame>

    init() throws {
        guard let pointer = av_frame_alloc() else { throw MediaError.library("out of memory") }
        self.pointer = pointer
    }

    deinit {
        var frame: UnsafeMutablePointer<AVFrame>? = pointer
        av_frame_free(&frame)
    }

    /// False for a frame of which only the properties were kept.
    var hasPixels: Bool { pointer.pointee.buf.0 != nil }

    /// Takes another frame's size, timestamps, flags and side data, without its pixels.
    func copyProperties(of other: borrowing DecodedFrame) {
        pointer.pointee.width = other.pointer.pointee.width
        pointer.pointee.height = other.pointer.pointee.height
        pointer.pointee.format = other.pointer.pointee.format
        _ = av_frame_copy_props(pointer, other.pointer)
    }

    var isCorrupt: Bool {
        pointer.pointee.flags & AV_FRAME_FLAG_CORRUPT != 0 || pointer.pointee.decode_error_flags != 0
    }
}
