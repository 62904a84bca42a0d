import CFFmpeg

/// Notes on how a stream asks to be displayed where that is not applied.
enum DisplayNotes {
    static func describe(_ stream: UnsafeMutablePointer<AVStream>, in result: inout DecodeResult) {
        func has(_ type: AVPacketSideDataType) -> Bool { av_stream_get_side_data(stream, type, nil) != nil }
        if has(AV_PKT_DATA_STEREO3D) {
            result.note(
                "stereo", "the recording is stereoscopic; frames are used as coded, with both eyes in each")
        }
        if has(AV_PKT_DATA_SPHERICAL) {
            result.note("spherical", "the recording is spherical; frames are used as coded, without projection")
        }
        if has(AV_PKT_DATA_DOVI_CONF) {
            result.note(
                "dolby_vision", "the recording is Dolby Vision; its metadata is not applied, so colors may be wrong")
        }
        if av_dict_get(stream.pointee.metadata, "alpha_mode", nil, 0).map({
            $0.pointee.value.map { $0[0] != 48 } ?? false
        })
            ?? false
        {
            result.note("alpha", alpha)
        }
        if (stream.pointee.codecpar?.pointee.field_order.rawValue ?? 0) > AV_FIELD_PROGRESSIVE.rawValue {
            result.note("interlaced", interlaced)
        }
        if let transfer = stream.pointee.codecpar?.pointee.color_trc, ColorConversion.isHDR(transfer) {
            result.note("hdr_not_tonemapped", hdr)
        }
    }

    /// Adds the notes of a frame, which often differ from the container's or are missing there.
    ///
    /// - Parameter hasOrientation: whether the container has a display matrix, which takes precedence over the frame's.
    static func describe(_ frame: borrowing DecodedFrame, hasOrientation: Bool, in result: inout DecodeResult) {
        let raw = frame.pointer.pointee
        if raw.interlaced_frame != 0 { result.note("interlaced", interlaced) }
        if ColorConversion.isHDR(raw.color_trc) { result.note("hdr_not_tonemapped", hdr) }
        if let note = ColorConversion.unconverted(raw.colorspace) { result.note("color_matrix", note) }
        if ColorConversion.hasAlpha(raw.format) { result.note("alpha", alpha) }
        if raw.nb_side_data > 0, !hasOrientation,
            av_frame_get_side_data(frame.pointer, AV_FRAME_DATA_DISPLAYMATRIX) != nil, Orientation.of(frame) == nil
        {
            result.note("invalid_rotation", rotation)
        }
    }

    static let rotation = "the display matrix is not a multiple of a quarter turn and was ignored"
    private static let alpha =
        "the recording has an alpha channel, which is dropped; colors are used as coded"
    private static let interlaced = "the recording is interlaced; both fields of a frame are used together"
    private static let hdr = "the recording is HDR; colors are used as coded, without tone mapping"
}
