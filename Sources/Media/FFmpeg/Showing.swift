import CFFmpeg

/// What a stream says about how its pictures are to be shown that is not done: a note each.
enum Showing {
    static func describe(_ stream: UnsafeMutablePointer<AVStream>, in result: inout DecodeResult) {
        func has(_ type: AVPacketSideDataType) -> Bool { av_stream_get_side_data(stream, type, nil) != nil }
        if has(AV_PKT_DATA_STEREO3D) {
            result.note(
                "stereo", "the recording is stereoscopic; pictures are taken as they are coded, both eyes together")
        }
        if has(AV_PKT_DATA_SPHERICAL) {
            result.note("spherical", "the recording is spherical; pictures are taken as they are coded, not projected")
        }
        if has(AV_PKT_DATA_DOVI_CONF) {
            result.note("dolby_vision", "the recording is Dolby Vision; its metadata is not applied, colors may be off")
        }
    }
}
