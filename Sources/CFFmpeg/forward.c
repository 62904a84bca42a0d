// Loads FFmpeg's libraries when they are first needed.
//
// If linked, they and their 120 dependencies would load at every start of the program: 26 ms of each question, which
// decodes nothing. So each function in use is defined here and forwards its arguments to the one dlopen found. The
// compiler checks the prototypes against FFmpeg's headers, and the file names carry the headers' major versions.

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

// Hidden, so that the libraries call each other's functions instead of these.
#pragma GCC visibility push(hidden)
#include "CFFmpeg.h"

// F(library, result, function, parameters, arguments)
#define FUNCTIONS(F) \
    F(avutil, void, av_dict_free, (AVDictionary **a), (a)) \
    F(avutil, AVDictionaryEntry *, av_dict_get, (const AVDictionary *a, const char *b, const AVDictionaryEntry *c, \
      int d), (a, b, c, d)) \
    F(avutil, int, av_dict_set, (AVDictionary **a, const char *b, const char *c, int d), (a, b, c, d)) \
    F(avutil, int64_t, av_rescale, (int64_t a, int64_t b, int64_t c), (a, b, c)) \
    F(avutil, AVFrame *, av_frame_alloc, (void), ()) \
    F(avutil, int, av_frame_copy_props, (AVFrame *a, const AVFrame *b), (a, b)) \
    F(avutil, void, av_frame_free, (AVFrame **a), (a)) \
    F(avutil, int, av_frame_get_buffer, (AVFrame *a, int b), (a, b)) \
    F(avutil, AVFrameSideData *, av_frame_get_side_data, (const AVFrame *a, enum AVFrameSideDataType b), (a, b)) \
    F(avutil, AVFrameSideData *, av_frame_new_side_data, (AVFrame *a, enum AVFrameSideDataType b, size_t c), \
      (a, b, c)) \
    F(avutil, int, av_frame_ref, (AVFrame *a, const AVFrame *b), (a, b)) \
    F(avutil, void, av_frame_unref, (AVFrame *a), (a)) \
    F(avutil, void, av_free, (void *a), (a)) \
    F(avutil, const char *, av_get_pix_fmt_name, (enum AVPixelFormat a), (a)) \
    F(avutil, void, av_log_set_callback, (void (*a)(void *, int, const char *, va_list)), (a)) \
    F(avutil, void, av_log_set_level, (int a), (a)) \
    F(avutil, void *, av_malloc, (size_t a), (a)) \
    F(avutil, void, av_max_alloc, (size_t a), (a)) \
    F(avutil, const AVPixFmtDescriptor *, av_pix_fmt_desc_get, (enum AVPixelFormat a), (a)) \
    F(avutil, int, av_strerror, (int a, char *b, size_t c), (a, b, c)) \
    F(avutil, const char *, av_version_info, (void), ()) \
    F(swscale, void, sws_freeContext, (struct SwsContext *a), (a)) \
    F(swscale, const int *, sws_getCoefficients, (int a), (a)) \
    F(swscale, struct SwsContext *, sws_getContext, (int a, int b, enum AVPixelFormat c, int d, int e, enum \
      AVPixelFormat f, int g, SwsFilter *h, SwsFilter *i, const double *j), (a, b, c, d, e, f, g, h, i, j)) \
    F(swscale, int, sws_isSupportedInput, (enum AVPixelFormat a), (a)) \
    F(swscale, int, sws_scale, (struct SwsContext *a, const uint8_t *const *b, const int *c, int d, int e, uint8_t \
      *const *f, const int *g), (a, b, c, d, e, f, g)) \
    F(swscale, int, sws_scale_frame, (struct SwsContext *a, AVFrame *b, const AVFrame *c), (a, b, c)) \
    F(swscale, int, sws_setColorspaceDetails, (struct SwsContext *a, const int *b, int c, const int *d, int e, int \
      f, int g, int h), (a, b, c, d, e, f, g, h)) \
    F(swscale, unsigned int, swscale_version, (void), ()) \
    F(avcodec, int, av_new_packet, (AVPacket *a, int b), (a, b)) \
    F(avcodec, AVPacket *, av_packet_alloc, (void), ()) \
    F(avcodec, void, av_packet_free, (AVPacket **a), (a)) \
    F(avcodec, uint8_t *, av_packet_get_side_data, (const AVPacket *a, enum AVPacketSideDataType b, size_t *c), \
      (a, b, c)) \
    F(avcodec, void, av_packet_rescale_ts, (AVPacket *a, AVRational b, AVRational c), (a, b, c)) \
    F(avcodec, int, avcodec_parameters_copy, (AVCodecParameters *a, const AVCodecParameters *b), (a, b)) \
    F(avcodec, void, av_packet_move_ref, (AVPacket *a, AVPacket *b), (a, b)) \
    F(avcodec, void, av_packet_unref, (AVPacket *a), (a)) \
    F(avcodec, AVCodecContext *, avcodec_alloc_context3, (const AVCodec *a), (a)) \
    F(avcodec, const AVCodec *, avcodec_find_decoder, (enum AVCodecID a), (a)) \
    F(avcodec, const AVCodec *, avcodec_find_encoder, (enum AVCodecID a), (a)) \
    F(avcodec, void, avcodec_flush_buffers, (AVCodecContext *a), (a)) \
    F(avcodec, void, avcodec_free_context, (AVCodecContext **a), (a)) \
    F(avcodec, const char *, avcodec_get_name, (enum AVCodecID a), (a)) \
    F(avcodec, int, avcodec_open2, (AVCodecContext *a, const AVCodec *b, AVDictionary **c), (a, b, c)) \
    F(avcodec, int, avcodec_parameters_to_context, (AVCodecContext *a, const AVCodecParameters *b), (a, b)) \
    F(avcodec, int, avcodec_receive_frame, (AVCodecContext *a, AVFrame *b), (a, b)) \
    F(avcodec, int, avcodec_receive_packet, (AVCodecContext *a, AVPacket *b), (a, b)) \
    F(avcodec, int, avcodec_send_frame, (AVCodecContext *a, const AVFrame *b), (a, b)) \
    F(avcodec, int, avcodec_send_packet, (AVCodecContext *a, const AVPacket *b), (a, b)) \
    F(avcodec, unsigned int, avcodec_version, (void), ()) \
    F(avformat, AVRational, av_guess_sample_aspect_ratio, (AVFormatContext *a, AVStream *b, AVFrame *c), (a, b, c)) \
    F(avformat, enum AVCodecID, av_codec_get_id, (const struct AVCodecTag *const *a, unsigned int b), (a, b)) \
    F(avformat, const AVOutputFormat *, av_guess_format, (const char *a, const char *b, const char *c), (a, b, c)) \
    F(avformat, int, av_interleaved_write_frame, (AVFormatContext *a, AVPacket *b), (a, b)) \
    F(avformat, uint8_t *, av_stream_new_side_data, (AVStream *a, enum AVPacketSideDataType b, size_t c), (a, b, c)) \
    F(avformat, int, av_write_trailer, (AVFormatContext *a), (a)) \
    F(avformat, int, avformat_alloc_output_context2, (AVFormatContext **a, const AVOutputFormat *b, const char *c, \
      const char *d), (a, b, c, d)) \
    F(avformat, void, avformat_free_context, (AVFormatContext *a), (a)) \
    F(avformat, AVStream *, avformat_new_stream, (AVFormatContext *a, const AVCodec *b), (a, b)) \
    F(avformat, int, avformat_query_codec, (const AVOutputFormat *a, enum AVCodecID b, int c), (a, b, c)) \
    F(avformat, int, avformat_write_header, (AVFormatContext *a, AVDictionary **b), (a, b)) \
    F(avformat, void, avio_flush, (AVIOContext *a), (a)) \
    F(avformat, int, av_read_frame, (AVFormatContext *a, AVPacket *b), (a, b)) \
    F(avformat, int, av_seek_frame, (AVFormatContext *a, int b, int64_t c, int d), (a, b, c, d)) \
    F(avformat, uint8_t *, av_stream_get_side_data, (const AVStream *a, enum AVPacketSideDataType b, size_t *c), (a, \
      b, c)) \
    F(avformat, AVFormatContext *, avformat_alloc_context, (void), ()) \
    F(avformat, void, avformat_close_input, (AVFormatContext **a), (a)) \
    F(avformat, int, avformat_find_stream_info, (AVFormatContext *a, AVDictionary **b), (a, b)) \
    F(avformat, int, avformat_index_get_entries_count, (const AVStream *a), (a)) \
    F(avformat, const AVIndexEntry *, avformat_index_get_entry, (AVStream *a, int b), (a, b)) \
    F(avformat, int, avformat_open_input, (AVFormatContext **a, const char *b, const AVInputFormat *c, AVDictionary \
      **d), (a, b, c, d)) \
    F(avformat, unsigned int, avformat_version, (void), ()) \
    F(avformat, AVIOContext *, avio_alloc_context, (unsigned char *a, int b, int c, void *d, int (*e) (void *, \
      uint8_t *, int), int (*f) (void *, uint8_t *, int), int64_t (*g) (void *, int64_t, int)), (a, b, c, d, e, f, \
      g)) \
    F(avformat, void, avio_context_free, (AVIOContext **a), (a))

#define SLOT(library, result, function, parameters, arguments) __typeof__(function) *function;
static struct {
    FUNCTIONS(SLOT)
} loaded;

enum { avutil, swscale, avcodec, avformat, libraries };
static const char *const files[libraries] = {
    "libavutil.so." AV_STRINGIFY(LIBAVUTIL_VERSION_MAJOR),
    "libswscale.so." AV_STRINGIFY(LIBSWSCALE_VERSION_MAJOR),
    "libavcodec.so." AV_STRINGIFY(LIBAVCODEC_VERSION_MAJOR),
    "libavformat.so." AV_STRINGIFY(LIBAVFORMAT_VERSION_MAJOR),
};

#define ENTRY(library, result, function, parameters, arguments) {library, #function, (void **)&loaded.function},
static const struct {
    int library;
    const char *function;
    void **slot;
} entries[] = {FUNCTIONS(ENTRY)};

static char problem[512];
static int is_missing;

static void load(void) {
    void *handles[libraries];
    for (int i = 0; i < libraries; i++) {
        handles[i] = dlopen(files[i], RTLD_LAZY | RTLD_LOCAL);
        if (!handles[i]) {
            snprintf(problem, sizeof problem, "%s", dlerror());
            is_missing = 1;
            return;
        }
    }
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        *entries[i].slot = dlsym(handles[entries[i].library], entries[i].function);
        if (!*entries[i].slot) {
            snprintf(problem, sizeof problem, "%s", dlerror());
            is_missing = 1;
            return;
        }
    }
}

const char *lt_ffmpeg_load(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return is_missing ? problem : NULL;
}

#define FORWARD(library, result, function, parameters, arguments) \
    result function parameters { return loaded.function arguments; }
FUNCTIONS(FORWARD)

#pragma GCC visibility pop
