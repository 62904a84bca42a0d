import CFFmpeg

// FFmpeg's macros under their own names; Swift does not import macros that contain a cast or a call.

/// The timestamp of a packet or frame that has none: (int64_t)UINT64_C(0x8000000000000000).
let AV_NOPTS_VALUE = Int64.min
/// The status at the end of a file or stream.
var AVERROR_EOF: Int32 { lt_averror_eof }
/// The status for an errno.
func AVERROR(_ number: Int32) -> Int32 { lt_averror(number) }
