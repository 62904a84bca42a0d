// libavformat, libavcodec, libswscale and libavutil (FFmpeg 5.1 or later) for Swift.
#ifndef LT_CFFMPEG_SHIM_H
#define LT_CFFMPEG_SHIM_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>

// Loads the libraries; call it before any other function. Later calls cost nothing, and it is thread-safe. Returns NULL
// if all are there, otherwise the dynamic linker's error message, which is static.
const char *lt_ffmpeg_load(void);

// Counts the libraries' error messages from now on instead of printing them; `lt_ffmpeg_errors` returns their number.
void lt_ffmpeg_count_errors(void);
unsigned lt_ffmpeg_errors(void);

// Swift imports neither function-like macros nor those that use them.
static inline int lt_averror(int code) { return AVERROR(code); }
static const int lt_averror_eof = AVERROR_EOF;

#endif
