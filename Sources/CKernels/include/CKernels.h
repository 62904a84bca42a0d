// Kernels for what oneDNN has none for: norms, rotary embedding, softmax, single-token products, attention at decode,
// quantisation, conversions, int8 dot products. No allocation, no threads, no I/O: the caller owns every buffer and splits the rows.
//
// Letters: T rows (tokens), S keys, n columns, hd head size. Strides are in elements. "work" is f32 or bf16 (lt_type).
#ifndef LT_CKERNELS_H
#define LT_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

typedef enum { LT_F32 = 0, LT_BF16 = 1 } lt_type;
typedef enum { LT_ACT_NONE = 0, LT_ACT_QUICK_GELU = 1, LT_ACT_GELU_ERF = 2 } lt_activation;

/// The kernels of one instruction set. Every pointer is set in every table.
typedef struct lt_kernels {
    const char *name;

    /// out[T,n] = (x - mean) / sqrt(var + eps) * weight + bias. `out` may be `x` when out_type is LT_F32.
    void (*layer_norm)(const float *x, ptrdiff_t x_stride, const float *weight, const float *bias, float eps,
                       size_t rows, size_t n, void *out, lt_type out_type, ptrdiff_t out_stride);
    /// out[T,n] = x / sqrt(mean(x^2) + eps) * weight.
    void (*rms_norm)(const float *x, ptrdiff_t x_stride, const float *weight, float eps, size_t rows, size_t n,
                     void *out, lt_type out_type, ptrdiff_t out_stride);
    /// Softmax of scale * scores over the first `visible + row * visible_step` columns (at most n); the rest becomes 0.
    /// `out` may be `scores` when out_type is LT_F32.
    void (*softmax)(const float *scores, ptrdiff_t stride, float scale, size_t rows, size_t n, size_t visible,
                    size_t visible_step, void *out, lt_type out_type, ptrdiff_t out_stride);
    /// Rotate-half rotary embedding in place on x[T, heads*hd]; cos and sin are [T, hd/2].
    void (*rope)(void *x, lt_type type, ptrdiff_t stride, size_t rows, size_t heads, size_t head_size,
                 const float *cos, const float *sin);
    /// gate[T,n] = silu(gate) * up.
    void (*silu_multiply)(void *gate, const void *up, lt_type type, ptrdiff_t gate_stride, ptrdiff_t up_stride,
                          size_t rows, size_t n);
    /// out[T,n] = act(out + bias), bias may be NULL: what oneDNN does as a post-op and OpenBLAS does not.
    void (*bias_activation)(float *out, ptrdiff_t stride, const float *bias, lt_activation activation, size_t rows,
                            size_t n);
    /// out[row] = weight[row,:] . x (+ bias[row]) (+ out[row] if accumulate), for `rows` rows of a row-major weight.
    void (*matrix_vector)(const void *weight, lt_type type, ptrdiff_t stride, const float *x, const float *bias,
                          int accumulate, size_t rows, size_t n, float *out);
    /// out[t, row] = x[t,:] . weight[row,:] (+ out[t, row] if accumulate) for a few rows T of x and a bf16 weight [rows, n]:
    /// the weight is read once, and no copy of it in f32 is written.
    void (*matrix_rows)(const uint16_t *weight, ptrdiff_t stride, const float *x, ptrdiff_t x_stride, size_t x_rows,
                        int accumulate, size_t rows, size_t n, float *out, ptrdiff_t out_stride);
    /// A part of what one query row sees: S cached keys and values, each row of which is read once with all heads.
    /// q is [kv_heads*queries*hd] f32; k and v are [S, kv_heads*hd]. Per head: `tops`, the largest score times `scale`; `sums`, the sum
    /// of exp(score * scale - top); `out` [heads*hd], the values so weighted. scores is scratch of heads*S floats.
    void (*attention_part)(const float *q, const void *k, const void *v, lt_type type, ptrdiff_t kv_stride, size_t keys,
                           size_t kv_heads, size_t queries, size_t head_size, float scale, float *scores, float *tops,
                           float *sums, float *out);
    /// out[heads*hd] from `parts` of them: tops and sums are [parts, heads], values [parts, heads*hd].
    void (*attention_join)(size_t parts, size_t heads, size_t head_size, const float *tops, const float *sums,
                           const float *values, float *out);
    /// y[n] += x[n].
    void (*add)(const float *x, float *y, size_t n);
    void (*f32_to_bf16)(const float *x, uint16_t *y, size_t n);  // round to nearest, ties to even
    void (*bf16_to_f32)(const uint16_t *x, float *y, size_t n);
    void (*f16_to_f32)(const uint16_t *x, float *y, size_t n);
    /// Rows of int8 with one f32 scale each: q = round(x / scale), scale = max|x| / 127 (a row of zeros has scale 0).
    void (*quantize_rows)(const float *x, size_t rows, size_t n, int8_t *q, float *scales);
    void (*dequantize_rows)(const int8_t *q, const float *scales, size_t rows, size_t n, float *x);
    /// out[row] = rows[row,:] . query, exactly: every int8 is allowed, -128 too. Rows are `stride` bytes apart, as where they
    /// lie in records. n is at most 65536: n * 255 * 128, what the unsigned form sums, is then below 2^31.
    void (*dot_i8)(const int8_t *rows, ptrdiff_t stride, size_t count, size_t n, const int8_t *query, int32_t *out);
    /// Patch matrix of one packed RGB24 picture: out[g*g, 3*p*p] (channel, row, column), (x/255 - mean)/std.
    void (*patchify_rgb)(const uint8_t *rgb, size_t grid, size_t patch, const float mean[3], const float std[3],
                         void *out, lt_type out_type);
    /// The same from normalised planes [3, g*p, g*p].
    void (*patchify_planes)(const float *planes, size_t grid, size_t patch, void *out, lt_type out_type);
} lt_kernels;

/// Tables compiled in, best first, ended by NULL. A table listed here runs on this CPU.
const lt_kernels *const *lt_kernels_available(void);
/// The table named `name` ("avx512vnni", "avx512", "avx2", "portable"), or NULL when this CPU or build lacks it; NULL picks the best.
const lt_kernels *lt_kernels_named(const char *name);
/// Plain scalar loops with double accumulation: what every other table is tested against.
extern const lt_kernels lt_kernels_reference;

#endif
