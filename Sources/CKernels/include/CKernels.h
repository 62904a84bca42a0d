// Kernels for the operations oneDNN does not provide: norms, rotary embedding, softmax, single-row products, attention
// at decode, quantization, products with quantized weights, conversions and int8 dot products. They do not allocate,
// start threads or do I/O: the caller owns every buffer and splits the rows over threads.
//
// Letters: T rows (tokens), S keys, n columns, g patches per image side, p patch side in pixels. Strides are in
// elements unless stated. Activations are f32 or bf16 (lt_dtype).
#ifndef LT_CKERNELS_H
#define LT_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

/// LT_I8 is a type of cached keys and values only: a row is h_kv*d bytes, followed by one f32 scale per KV head without
/// alignment. A value is its byte times the scale of its head.
typedef enum { LT_F32 = 0, LT_BF16 = 1, LT_I8 = 2 } lt_dtype;
typedef enum { LT_ACT_NONE = 0, LT_ACT_QUICK_GELU = 1, LT_ACT_GELU_ERF = 2 } lt_activation;

/// Packed weights. A panel holds LT_PANEL outputs; missing outputs and inputs are stored as zeros. In memory order:
///
/// int8: [ceil(inputs / 4), LT_PANEL, 4] bytes, each value + 128, which makes them the unsigned operand of vpdpbusd.
/// int4: [groups, LT_GROUP / 8, LT_PANEL, 4] bytes for groups of LT_GROUP inputs; byte i of eight inputs has input i in
/// its low half and input i + 4 in its high half; a weight is scale * half + minimum. The scales and minima of a panel
/// are [groups, 2, LT_PANEL] bf16, for each group the scales and then the minima.
enum { LT_PANEL = 32, LT_GROUP = 32 };

/// Inputs that share a scale in gemm_int8, of activations or of weights, where these have groups.
enum { LT_INPUT_GROUP = 64 };

/// Keys whose weights have a scale of their own in attention_int8.
enum { LT_TILE_KEYS = 128 };

/// A product with packed weights: out[T,outputs] = act(x . weight + bias), or out += x . weight + bias.
///
/// Integer sums are exact and converted to f32 in one way, so that every table has the same bits for every T; only the
/// activation functions differ in their last bits.
typedef struct {
    const void *weight;         // packed panels
    const void *weight_scales;  // int8: f32 [panels, groups or 1, LT_PANEL]; int4: bf16 [panels, groups, 2, LT_PANEL]
    const void *x;              // [T, x_stride], from quantize_activations
    ptrdiff_t x_stride;         // in elements
    const float *x_scales;      // [T], or [T, groups]
    const int32_t *x_sums;      // [T], or [T, groups]
    int x_groups;               // int8: x has a scale and a sum per LT_INPUT_GROUP inputs; int4 always per LT_GROUP
    int weight_groups;          // int8: the weights too; only with x_groups
    size_t rows, inputs, outputs;
    const float *bias;          // [outputs] or NULL
    lt_activation activation;   // LT_ACT_NONE if accumulate
    int accumulate;             // then out_type is LT_F32
    void *out;                  // [T, out_stride]
    lt_dtype out_type;
    ptrdiff_t out_stride;
} lt_quantized_gemm;

/// Attention of T queries over int8 keys and values (LT_I8), of the heads that share one KV head: softmax(scale * q . k)
/// . v. Queries are quantized like quantize_activations, weights to 8 bits per row and LT_TILE_KEYS keys; sums are exact.
typedef struct {
    const void *q;  // [T, group * head_size], f32 or bf16
    lt_dtype type;  // of q and out
    ptrdiff_t q_stride;
    size_t queries, group, head_size;
    const int8_t *keys, *values;  // [key_count, kv_heads * head_size] with scales, of all heads
    ptrdiff_t kv_stride;
    size_t key_count, kv_heads, kv_head;
    ptrdiff_t unmasked;    // query t attends to the first `unmasked` + t * `unmasked_step` keys, of those that exist; at
    size_t unmasked_step;  // least one
    float scale;
    void *out;  // [T, group * head_size]
    ptrdiff_t out_stride;
    void *scratch;  // attention_int8_scratch bytes, aligned to 64
} lt_int8_attention;

/// Rows of x that gemv_rows computes with one reading of the weight.
enum { LT_GEMV_ROWS = 8 };

/// The kernels of one instruction set; every table sets every pointer.
typedef struct lt_kernels {
    const char *name;
    /// Bytes per activation that gemm_int8 reads: 1 with VNNI, else 2.
    size_t int8_operand_size;

    /// out[T,n] = (x - mean) / sqrt(var + eps) * weight + bias. `out` may be `x` if out_type is LT_F32.
    void (*layer_norm)(const float *x, ptrdiff_t x_stride, const float *weight, const float *bias, float eps,
                       size_t rows, size_t n, void *out, lt_dtype out_type, ptrdiff_t out_stride);
    /// out[T,n] = x / sqrt(mean(x^2) + eps) * weight.
    void (*rms_norm)(const float *x, ptrdiff_t x_stride, const float *weight, float eps, size_t rows, size_t n,
                     void *out, lt_dtype out_type, ptrdiff_t out_stride);
    /// Softmax of scale * scores[T,n] over the first `unmasked + row * unmasked_step` columns (at most n); the other
    /// columns become 0. `out` may be `scores` if out_type is LT_F32; if it is LT_BF16, `scores` is overwritten.
    void (*softmax)(const float *scores, ptrdiff_t stride, float scale, size_t rows, size_t n, size_t unmasked,
                    size_t unmasked_step, void *out, lt_dtype out_type, ptrdiff_t out_stride);
    /// Rotate-half rotary embedding, in place, of x[T, heads*head_size]; cos and sin are [T, head_size/2].
    void (*rope)(void *x, lt_dtype type, ptrdiff_t stride, size_t rows, size_t heads, size_t head_size,
                 const float *cos, const float *sin);
    /// gate[T,n] = silu(gate) * up.
    void (*silu_multiply)(void *gate, const void *up, lt_dtype type, ptrdiff_t gate_stride, ptrdiff_t up_stride,
                          size_t rows, size_t n);
    /// out[T,n] = act(out + bias); bias may be NULL. oneDNN does this as a post-op, OpenBLAS does not.
    void (*bias_activation)(float *out, ptrdiff_t stride, const float *bias, lt_activation activation, size_t rows,
                            size_t n);
    /// out[row] = weight[row,:] . x (+ bias[row]) (+ out[row] if accumulate), for `rows` rows of a row-major weight.
    void (*gemv)(const void *weight, lt_dtype type, ptrdiff_t stride, const float *x, const float *bias,
                 int accumulate, size_t rows, size_t n, float *out);
    /// out[t, row] = weight[row,:] . x[t,:] (+ bias[row]) (+ out[t, row] if accumulate), for a few rows T of x; each with
    /// the same bits as gemv. Up to LT_GEMV_ROWS rows read the weight once. `packed` is scratch for that many rows of n.
    void (*gemv_rows)(const void *weight, lt_dtype type, ptrdiff_t stride, const float *x, ptrdiff_t x_stride,
                      size_t x_rows, const float *bias, int accumulate, size_t rows, size_t n, float *packed,
                      float *out, ptrdiff_t out_stride);
    /// out[t, row] = x[t,:] . weight[row,:] (+ out[t, row] if accumulate), for a few rows T of x and a bf16 weight
    /// [rows, n]. Reads the weight once and writes no f32 copy of it.
    void (*gemm_bf16)(const uint16_t *weight, ptrdiff_t stride, const float *x, ptrdiff_t x_stride, size_t x_rows,
                      int accumulate, size_t rows, size_t n, float *out, ptrdiff_t out_stride);
    /// Attention of one query row over a block of S cached keys and values, all heads at once so that each row is read
    /// once. q is [kv_heads*group*head_size] f32, `group` query heads per KV head; k and v are [S, kv_heads*head_size].
    /// Writes per head: `max_scores`, the largest score times `scale`; `exp_sums`, the sum of exp(score * scale - max);
    /// `out` [heads*head_size], the sum of values weighted by exp(score * scale - max); `weights` [heads, S], these
    /// weights, unless it is NULL. `scores` [heads, S] is scratch.
    void (*attention_block)(const float *q, const void *k, const void *v, lt_dtype type, ptrdiff_t kv_stride,
                            size_t keys, size_t kv_heads, size_t group, size_t head_size, float scale, float *scores,
                            float *weights, float *max_scores, float *exp_sums, float *out);
    /// out[heads*head_size] from the results of `blocks` calls of attention_block: max_scores and exp_sums are
    /// [blocks, heads], values [blocks, heads*head_size]. Writes to `shares` [blocks, heads], unless it is NULL, what to
    /// multiply a block's weights with so that those of a head sum to 1.
    void (*attention_combine)(size_t blocks, size_t heads, size_t head_size, const float *max_scores,
                              const float *exp_sums, const float *values, float *shares, float *out);
    /// One tile of a softmax over all keys of T query rows. scores [T, n] is overwritten; row t has `unmasked` + t *
    /// `unmasked_step` unmasked columns, at least 0 and at most n. `max_scores` [T] and `exp_sums` [T] begin at
    /// -infinity and 0 and hold the largest score times `scale` and the sum of exp(score * scale - max) over all tiles
    /// so far; `sums` [T, head_size] is rescaled to the new maximum. Writes exp(score * scale - max) to out [T, n], 0
    /// in masked columns; `out` may be `scores` if out_type is LT_F32.
    void (*softmax_tile)(float *scores, ptrdiff_t stride, float scale, size_t rows, size_t n, ptrdiff_t unmasked,
                         size_t unmasked_step, float *max_scores, float *exp_sums, float *sums, size_t head_size,
                         void *out, lt_dtype out_type, ptrdiff_t out_stride);
    /// out[T,head_size] = sums / exp_sums of its row, after the last tile.
    void (*softmax_finish)(const float *sums, const float *exp_sums, size_t rows, size_t head_size, void *out,
                           lt_dtype type, ptrdiff_t out_stride);
    /// Quantizes keys or values x[T, heads*head_size] (f32 or bf16) to LT_I8 rows, one scale per row and head: max|x| /
    /// 127, a NaN if x has a NaN or an infinity. The same bits in every table. `out_stride` in bytes.
    void (*quantize_key_values)(const void *x, lt_dtype type, ptrdiff_t x_stride, size_t rows, size_t heads,
                                size_t head_size, int8_t *out, ptrdiff_t out_stride);
    /// out[T,head_size] = the values of KV head `head` of LT_I8 rows with `heads` heads, in f32 or rounded to bf16.
    void (*dequantize_key_values)(const int8_t *x, ptrdiff_t x_stride, size_t rows, size_t heads, size_t head_size,
                                  size_t head, void *out, lt_dtype type, ptrdiff_t out_stride);
    /// Attention over int8 keys and values, of one KV head.
    void (*attention_int8)(const lt_int8_attention *attention);
    /// Bytes of its scratch memory.
    size_t (*attention_int8_scratch)(size_t queries, size_t group, size_t head_size);
    /// y[n] += x[n].
    void (*add)(const float *x, float *y, size_t n);
    /// Rounds to nearest, ties to even; a NaN stays a NaN.
    void (*f32_to_bf16)(const float *x, uint16_t *y, size_t n);
    /// Exact.
    void (*bf16_to_f32)(const uint16_t *x, float *y, size_t n);
    /// Exact, subnormals and infinities included.
    void (*f16_to_f32)(const uint16_t *x, float *y, size_t n);
    /// Quantizes rows to int8 with one f32 scale each: q = round(x / scale), scale = max|x| / 127 (0 for a row of
    /// zeros).
    void (*quantize_rows)(const float *x, size_t rows, size_t n, int8_t *q, float *scales);
    /// x[T,n] = q * scale of its row.
    void (*dequantize_rows)(const int8_t *q, const float *scales, size_t rows, size_t n, float *x);
    /// Quantizes weight rows like quantize_rows, but a row below 2^-100 counts as zeros, and a row with a NaN or an
    /// infinity has the scale NaN or infinity; the same bits in every table.
    void (*quantize_int8)(const float *x, size_t rows, size_t n, int8_t *q, float *scales);
    /// Quantizes weight rows to int4 in groups of LT_GROUP columns: values [rows, ceil(n/2)], low half first, 0 to 15;
    /// bf16 scales and minima [rows, ceil(n/LT_GROUP)]. Of 14 pairs of them per group, the one with the least squared
    /// error; the same bits in every table. A group below 2^-100 counts as zeros; the scale of one with a NaN, an
    /// infinity or a range that overflows is NaN.
    void (*quantize_int4)(const float *x, size_t rows, size_t n, uint8_t *q, uint16_t *scales, uint16_t *minima);
    /// Quantizes activations x[T,n] like quantize_int8, as elements of `operand_size` bytes (1 or 2) with zeros up to a
    /// multiple of 4 columns (`group` 0) or of `group`. A row, or each group of it, has a scale and a sum: [T, groups].
    void (*quantize_activations)(const void *x, lt_dtype type, ptrdiff_t x_stride, size_t rows, size_t n, size_t group,
                                 size_t operand_size, void *q, ptrdiff_t q_stride, float *scales, int32_t *sums);
    /// Packs one panel of at most LT_PANEL weight rows [outputs, inputs] int8; `stride` in bytes.
    void (*pack_int8)(const int8_t *weight, ptrdiff_t stride, size_t outputs, size_t inputs, uint8_t *panel);
    /// Packs one panel of weight rows as quantize_int4 writes them; `stride` in bytes.
    void (*pack_int4)(const uint8_t *weight, ptrdiff_t stride, size_t outputs, size_t inputs, uint8_t *panel);
    /// The columns of `panels` panels from `first` on; x has elements of int8_operand_size bytes. At most 65536 inputs:
    /// the unsigned form sums up to inputs * 255 * 128, which must stay below 2^31.
    void (*gemm_int8)(const lt_quantized_gemm *product, size_t first, size_t panels);
    /// The same for int4 weights; x has elements of one byte, and scales and sums per LT_GROUP.
    void (*gemm_int4)(const lt_quantized_gemm *product, size_t first, size_t panels);
    /// out[row] = rows[row,:] . query, exact; every int8 is allowed, including -128. `stride` is in bytes, so rows can
    /// be read inside larger records. n is at most 65536: the unsigned form sums up to n * 255 * 128, which must stay
    /// below 2^31.
    void (*dot_i8)(const int8_t *rows, ptrdiff_t stride, size_t count, size_t n, const int8_t *query, int32_t *out);
    /// Patch matrix of one packed RGB24 image [g*p, g*p, 3]: out[g*g, 3*p*p] in order (channel, row, column), values
    /// (x/255 - mean)/std.
    void (*patchify_rgb)(const uint8_t *rgb, size_t grid, size_t patch, const float mean[3], const float std[3],
                         void *out, lt_dtype out_type);
    /// Patch matrix of an image given as normalized planes [3, g*p, g*p].
    void (*patchify_planes)(const float *planes, size_t grid, size_t patch, void *out, lt_dtype out_type);
    /// Sums of absolute differences of `count` adjacent blocks of 4x4 packed RGB24 pixels, 48 values each: out[count].
    /// `stride` is the length of an image row in bytes, the same for both images.
    void (*block_differences)(const uint8_t *a, const uint8_t *b, size_t stride, size_t count, uint16_t *out);
} lt_kernels;

/// Tables that this CPU can run, best first, ended by NULL.
const lt_kernels *const *lt_kernels_available(void);
/// The table named `name` ("avx512vnni", "avx512", "avx2", "portable"), or NULL if this CPU or build lacks it. A NULL
/// name selects the best.
const lt_kernels *lt_kernels_named(const char *name);
/// Scalar reference: plain loops with double accumulation; the tests compare every other table with it.
extern const lt_kernels lt_kernels_reference;

#endif
