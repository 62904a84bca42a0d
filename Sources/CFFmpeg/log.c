// Counts what FFmpeg's libraries report as errors, on whichever thread: with several threads a decoder may return a
// damaged frame before it marks the frame as damaged (FFmpeg 5.1, h264dec.c: finalize_frame copies the flags early).

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "CFFmpeg.h"

static atomic_uint errors;

static void count(void *source, int level, const char *format, va_list arguments) {
    (void)source, (void)arguments;
    static const char concealing[] = "concealing";
    // Concealment itself is reported at a lower level.
    if ((level & 0xff) <= AV_LOG_ERROR || strncmp(format, concealing, sizeof concealing - 1) == 0)
        atomic_fetch_add_explicit(&errors, 1, memory_order_release);
}

void lt_ffmpeg_count_errors(void) { av_log_set_callback(count); }

unsigned lt_ffmpeg_errors(void) { return atomic_load_explicit(&errors, memory_order_acquire); }
