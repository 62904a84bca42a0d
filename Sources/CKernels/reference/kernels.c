// Reference kernels: plain loops, sums in double and the C library's exp. Slow on purpose; the tests compare every
// other table with them. CKernels.h has the shapes.
//
// quantize_rows computes in f32, since the tests expect the same bits from every table.
#include "CKernels.h"
#include <math.h>
#include <string.h>

static float load_bf16(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

// Rounds to nearest, ties to even; a NaN stays a NaN (0x40 makes it quiet, so its fraction cannot become 0).
static uint16_t store_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if (isnan(f)) return (uint16_t)((u >> 16) | 0x40);
    uint32_t low = u & 0xffff, high = u >> 16;
    if (low > 0x8000 || (low == 0x8000 && (high & 1))) high++;
    return (uint16_t)high;
}

static double get(const void *x, lt_dtype type, ptrdiff_t index) {
    return type == LT_F32 ? ((const float *)x)[index] : load_bf16(((const uint16_t *)x)[index]);
}

static void put(void *x, lt_dtype type, ptrdiff_t index, double value) {
    if (type == LT_F32) ((float *)x)[index] = (float)value;
    else ((uint16_t *)x)[index] = store_bf16((float)value);
}

static void layer_norm(const float *x, ptrdiff_t x_stride, const float *weight, const float *bias, float eps,
                       size_t rows, size_t n, void *out, lt_dtype out_type, ptrdiff_t out_stride) {
    for (ptrdiff_t t = 0; t < (ptrdiff_t)rows; t++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++) mean += x[t * x_stride + (ptrdiff_t)i] / (double)n;
        for (size_t i = 0; i < n; i++) variance += pow(x[t * x_stride + (ptrdiff_t)i] - mean, 2) / (double)n;
        for (size_t i = 0; i < n; i++) {
            double y = (x[t * x_stride + (ptrdiff_t)i] - mean) / sqrt(variance + eps);
            put(out, out_type, t * out_stride + (ptrdiff_t)i, y * weight[i] + bias[i]);
        }
    }
}

static void rms_norm(const float *x, ptrdiff_t x_stride, const float *weight, float eps, size_t rows, size_t n,
                     void *out, lt_dtype out_type, ptrdiff_t out_stride) {
    for (ptrdiff_t t = 0; t < (ptrdiff_t)rows; t++) {
        double mean_square = 0;
        for (size_t i = 0; i < n; i++) mean_square += pow(x[t * x_stride + (ptrdiff_t)i], 2) / (double)n;
        for (size_t i = 0; i < n; i++)
            put(out, out_type, t * out_stride + (ptrdiff_t)i,
                x[t * x_stride + (ptrdiff_t)i] / sqrt(mean_square + eps) * weight[i]);
    }
}

static void softmax(const float *scores, ptrdiff_t stride, float scale, size_t rows, size_t n, size_t unmasked,
                    size_t unmasked_step, void *out, lt_dtype out_type, ptrdiff_t out_stride) {
    for (ptrdiff_t t = 0; t < (ptrdiff_t)rows; t++) {
        const float *row = scores + t * stride;
        size_t count = unmasked + (size_t)t * unmasked_step;
        if (count > n) count = n;
        double max = -INFINITY, sum = 0;
        for (size_t i = 0; i < count; i++) max = fmax(max, (double)scale * row[i]);
        for (size_t i = 0; i < count; i++) sum += exp((double)scale * row[i] - max);
        for (size_t i = 0; i < n; i++)
            put(out, out_type, t * out_stride + (ptrdiff_t)i,
                i < count ? exp((double)scale * row[i] - max) / sum : 0.0);
    }
}

static void rope(void *x, lt_dtype type, ptrdiff_t stride, size_t rows, size_t heads, size_t head_size,
                 const float *cos, const float *sin) {
    size_t half = head_size / 2;
    for (size_t t = 0; t < rows; t++)
        for (size_t h = 0; h < heads; h++)
            for (size_t i = 0; i < half; i++) {
                ptrdiff_t a = (ptrdiff_t)t * stride + (ptrdiff_t)(h * head_size + i), b = a + (ptrdiff_t)half;
                double first = get(x, type, a), second = get(x, type, b);
                double c = cos[t * half + i], s = sin[t * half + i];
                put(x, type, a, first * c - second * s);
                put(x, type, b, second * c + first * s);
            }
}

static void silu_multiply(void *gate, const void *up, lt_dtype type, ptrdiff_t gate_stride, ptrdiff_t up_stride,
                          size_t rows, size_t n) {
    for (ptrdiff_t t = 0; t < (ptrdiff_t)rows; t++)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) {
            double g = get(gate, type, t * gate_stride + i);
            put(gate, type, t * gate_stride + i, g / (1 + exp(-g)) * get(up, type, t * up_stride + i));
        }
}

static void bias_activation(float *out, ptrdiff_t stride, const float *bias, lt_activation activation, size_t rows,
                            size_t n) {
    for (ptrdiff_t t = 0; t < (ptrdiff_t)rows; t++)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) {
            double y = out[t * stride + i] + (bias ? bias[i] : 0.0f);
            // 1.702 as an f32, the constant that the other tables use.
            if (activation == LT_ACT_QUICK_GELU) y = y / (1 + exp(-(double)1.702f * y));
            if (activation == LT_ACT_GELU_ERF) y = 0.5 * y * (1 + erf(y / sqrt(2)));
            out[t * stride + i] = (float)y;
        }
}

static void gemv(const void *weight, lt_dtype type, ptrdiff_t stride, const float *x, const float *bias,
                 int accumulate, size_t rows, size_t n, float *out) {
    for (ptrdiff_t r = 0; r < (ptrdiff_t)rows; r++) {
        double s = (bias ? bias[r] : 0) + (accumulate ? out[r] : 0);
        for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++) s += get(weight, type, r * stride + i) * x[i];
        out[r] = (float)s;
    }
}

static void gemv_rows(const void *weight, lt_dtype type, ptrdiff_t stride, const float *x, ptrdiff_t x_stride,
                      size_t x_rows, const float *bias, int accumulate, size_t rows, size_t n, float *packed,
                      float *out, ptrdiff_t out_stride) {
    (void)packed;
    for (ptrdiff_t t = 0; t < (ptrdiff_t)x_rows; t++)
        gemv(weight, type, stride, x + t * x_stride, bias, accumulate, rows, n, out + t * out_stride);
}

static void gemm_bf16(const uint16_t *weight, ptrdiff_t stride, const float *x, ptrdiff_t x_stride, size_t x_rows,
                      int accumulate, size_t rows, size_t n, float *out, ptrdiff_t out_stride) {
    for (ptrdiff_t t = 0; t < (ptrdiff_t)x_rows; t++)
        for (ptrdiff_t r = 0; r < (ptrdiff_t)rows; r++) {
            double s = accumulate ? out[t * out_stride + r] : 0;
            for (ptrdiff_t i = 0; i < (ptrdiff_t)n; i++)
                s += get(weight, LT_BF16, r * stride + i) * x[t * x_stride + i];
            out[t * out_stride + r] = (float)s;
        }
}

// Element `column` of row `row` of keys or values; LT_I8 rows have a scale per head.
static double get_key_value(const void *x, lt_dtype type, ptrdiff_t stride, size_t row, size_t column, size_t heads,
                            size_t head_size) {
    if (type != LT_I8) return get(x, type, (ptrdiff_t)row * stride + (ptrdiff_t)column);
    const int8_t *bytes = (const int8_t *)x + (ptrdiff_t)row * stride;
    float scale;
    memcpy(&scale, bytes + heads * head_size + column / head_size * sizeof scale, sizeof scale);
    return (double)bytes[column] * scale;
}

static void attention_block(const float *q, const void *k, const void *v, lt_dtype type, ptrdiff_t kv_stride,
                            size_t keys, size_t kv_heads, size_t group, size_t head_size, float scale, float *scores,
                            float *weights, float *max_scores, float *exp_sums, float *out) {
    for (size_t h = 0; h < kv_heads * group; h++) {
        size_t column = h / group * head_size;
        float *row = scores + h * keys;
        double max = -INFINITY, sum = 0;
        for (size_t s = 0; s < keys; s++) {
            double dot = 0;
            for (size_t i = 0; i < head_size; i++)
                dot += q[h * head_size + i] * get_key_value(k, type, kv_stride, s, column + i, kv_heads, head_size);
            row[s] = (float)(dot * scale);
            max = fmax(max, row[s]);
        }
        for (size_t s = 0; s < keys; s++) {
            sum += exp(row[s] - max);
            if (weights) weights[h * keys + s] = (float)exp(row[s] - max);
        }
        for (size_t i = 0; i < head_size; i++) {
            double y = 0;
            for (size_t s = 0; s < keys; s++)
                y += exp(row[s] - max) * get_key_value(v, type, kv_stride, s, column + i, kv_heads, head_size);
            out[h * head_size + i] = (float)y;
        }
        max_scores[h] = (float)max;
        exp_sums[h] = (float)sum;
    }
}

static void attention_combine(size_t blocks, size_t heads, size_t head_size, const float *max_scores,
                              const float *exp_sums, const float *values, float *shares, float *out) {
    for (size_t h = 0; h < heads; h++) {
        double max = -INFINITY, total = 0;
        for (size_t b = 0; b < blocks; b++) max = fmax(max, max_scores[b * heads + h]);
        for (size_t b = 0; b < blocks; b++) total += exp_sums[b * heads + h] * exp(max_scores[b * heads + h] - max);
        for (size_t b = 0; shares && b < blocks; b++)
            shares[b * heads + h] = (float)(exp(max_scores[b * heads + h] - max) / total);
        for (size_t i = 0; i < head_size; i++) {
            double y = 0;
            for (size_t b = 0; b < blocks; b++)
                y += exp(max_scores[b * heads + h] - max) / total * values[(b * heads + h) * head_size + i];
            out[h * head_size + i] = (float)y;
        }
    }
}

static void softmax_tile(float *scores, ptrdiff_t stride, float scale, size_t rows, size_t n, ptrdiff_t unmasked,
                         size_t unmasked_step, float *max_scores, float *exp_sums, float *sums, size_t head_size,
                         void *out, lt_dtype out_type, ptrdiff_t out_stride) {
    for (size_t t = 0; t < rows; t++) {
        float *row = scores + (ptrdiff_t)t * stride;
        ptrdiff_t limit = unmasked + (ptrdiff_t)(t * unmasked_step);
        size_t count = limit <= 0 ? 0 : (size_t)limit < n ? (size_t)limit : n;
        float max = max_scores[t];
        for (size_t i = 0; i < count; i++) max = fmaxf(max, row[i] * scale);
        double factor = count > 0 ? exp((double)max_scores[t] - max) : 1, sum = 0;
        for (size_t i = 0; i < n; i++) {
            double weight = i < count ? exp((double)row[i] * scale - max) : 0;
            sum += weight;
            put(out, out_type, (ptrdiff_t)t * out_stride + (ptrdiff_t)i, weight);
        }
        exp_sums[t] = (float)(exp_sums[t] * factor + sum);
        for (size_t i = 0; i < head_size; i++) sums[t * head_size + i] *= (float)factor;
        max_scores[t] = max;
    }
}

static void softmax_finish(const float *sums, const float *exp_sums, size_t rows, size_t head_size, void *out,
                           lt_dtype type, ptrdiff_t out_stride) {
    for (size_t t = 0; t < rows; t++)
        for (size_t i = 0; i < head_size; i++)
            put(out, type, (ptrdiff_t)t * out_stride + (ptrdiff_t)i, (double)sums[t * head_size + i] / exp_sums[t]);
}

static void quantize_key_values(const void *x, lt_dtype type, ptrdiff_t x_stride, size_t rows, size_t heads,
                                size_t head_size, int8_t *out, ptrdiff_t out_stride) {
    for (size_t t = 0; t < rows; t++)
        for (size_t h = 0; h < heads; h++) {
            int8_t *row = out + (ptrdiff_t)t * out_stride;
            ptrdiff_t first = (ptrdiff_t)t * x_stride + (ptrdiff_t)(h * head_size);
            float max = 0, scale;
            int is_finite = 1;
            for (size_t i = 0; i < head_size; i++) {
                float value = (float)get(x, type, first + (ptrdiff_t)i);
                max = fmaxf(max, fabsf(value));
                is_finite = is_finite && isfinite(value);
            }
            scale = is_finite ? max / 127.0f : NAN;
            memcpy(row + heads * head_size + h * sizeof scale, &scale, sizeof scale);
            for (size_t i = 0; i < head_size; i++) {
                float value = (float)get(x, type, first + (ptrdiff_t)i);
                row[h * head_size + i] =
                    is_finite && max > 0x1p-100f ? (int8_t)fmaxf(-127, fminf(127, rintf(value * (127.0f / max)))) : 0;
            }
        }
}

static void dequantize_key_values(const int8_t *x, ptrdiff_t x_stride, size_t rows, size_t heads, size_t head_size,
                                  size_t head, void *out, lt_dtype type, ptrdiff_t out_stride) {
    for (size_t t = 0; t < rows; t++)
        for (size_t i = 0; i < head_size; i++)
            put(out, type, (ptrdiff_t)t * out_stride + (ptrdiff_t)i,
                get_key_value(x, LT_I8, x_stride, t, head * head_size + i, heads, head_size));
}

static void add(const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void f32_to_bf16(const float *x, uint16_t *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = store_bf16(x[i]);
}

static void bf16_to_f32(const uint16_t *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = load_bf16(x[i]);
}

static void f16_to_f32(const uint16_t *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int exponent = (x[i] >> 10) & 31, fraction = x[i] & 1023;
        // 24 is 14 (smallest exponent) + 10 fraction bits, 25 is 15 (bias) + 10; 1024 is the implicit leading bit.
        double value = exponent == 0    ? ldexp(fraction, -24)
                       : exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                                        : ldexp(1024 + fraction, exponent - 25);
        y[i] = (float)((x[i] & 0x8000) ? -value : value);
    }
}

static void quantize_rows(const float *x, size_t rows, size_t n, int8_t *q, float *scales) {
    for (size_t t = 0; t < rows; t++) {
        float max = 0;
        for (size_t i = 0; i < n; i++) max = fmaxf(max, fabsf(x[t * n + i]));
        scales[t] = max / 127.0f;
        for (size_t i = 0; i < n; i++)
            q[t * n + i] = max > 0 ? (int8_t)fmaxf(-127, fminf(127, rintf(x[t * n + i] * (127.0f / max)))) : 0;
    }
}

static void dequantize_rows(const int8_t *q, const float *scales, size_t rows, size_t n, float *x) {
    for (size_t t = 0; t < rows; t++)
        for (size_t i = 0; i < n; i++) x[t * n + i] = (float)q[t * n + i] * scales[t];
}

static void dot_i8(const int8_t *rows, ptrdiff_t stride, size_t count, size_t n, const int8_t *query, int32_t *out) {
    for (size_t t = 0; t < count; t++) {
        int64_t sum = 0;
        for (size_t i = 0; i < n; i++) sum += (int64_t)rows[(ptrdiff_t)t * stride + (ptrdiff_t)i] * query[i];
        out[t] = (int32_t)sum;
    }
}

static void patchify_rgb(const uint8_t *rgb, size_t grid, size_t patch, const float mean[3], const float std[3],
                         void *out, lt_dtype out_type) {
    size_t side = grid * patch;
    ptrdiff_t next = 0;
    for (size_t p = 0; p < grid * grid; p++)
        for (size_t c = 0; c < 3; c++)
            for (size_t y = 0; y < patch; y++)
                for (size_t x = 0; x < patch; x++) {
                    size_t row = p / grid * patch + y, column = p % grid * patch + x;
                    float value = (float)rgb[(row * side + column) * 3 + c] * (float)(1.0 / 255.0);
                    put(out, out_type, next++, (value - mean[c]) / std[c]);
                }
}

static void patchify_planes(const float *planes, size_t grid, size_t patch, void *out, lt_dtype out_type) {
    size_t side = grid * patch;
    ptrdiff_t next = 0;
    for (size_t p = 0; p < grid * grid; p++)
        for (size_t c = 0; c < 3; c++)
            for (size_t y = 0; y < patch; y++)
                for (size_t x = 0; x < patch; x++)
                    put(out, out_type, next++,
                        planes[(c * side + p / grid * patch + y) * side + p % grid * patch + x]);
}

#include "quantized.inc"
#include "int8_attention.inc"

static void block_differences(const uint8_t *a, const uint8_t *b, size_t stride, size_t count, uint16_t *out) {
    for (size_t block = 0; block < count; block++) {
        int sum = 0;
        for (size_t y = 0; y < 4; y++)
            for (size_t x = 0; x < 12; x++) {
                int difference = a[y * stride + 12 * block + x] - b[y * stride + 12 * block + x];
                sum += difference < 0 ? -difference : difference;
            }
        out[block] = (uint16_t)sum;
    }
}

const lt_kernels lt_kernels_reference = {
    .name = "reference",
    .int8_operand_size = 1,
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .softmax = softmax,
    .rope = rope,
    .silu_multiply = silu_multiply,
    .bias_activation = bias_activation,
    .gemv = gemv,
    .gemv_rows = gemv_rows,
    .gemm_bf16 = gemm_bf16,
    .attention_block = attention_block,
    .attention_combine = attention_combine,
    .softmax_tile = softmax_tile,
    .softmax_finish = softmax_finish,
    .quantize_key_values = quantize_key_values,
    .dequantize_key_values = dequantize_key_values,
    .attention_int8 = attention_int8,
    .attention_int8_scratch = attention_int8_scratch,
    .add = add,
    .f32_to_bf16 = f32_to_bf16,
    .bf16_to_f32 = bf16_to_f32,
    .f16_to_f32 = f16_to_f32,
    .quantize_rows = quantize_rows,
    .dequantize_rows = dequantize_rows,
    .quantize_int8 = quantize_int8,
    .quantize_int4 = quantize_int4,
    .quantize_activations = quantize_activations,
    .pack_int8 = pack_int8,
    .pack_int4 = pack_int4,
    .gemm_int8 = gemm_int8,
    .gemm_int4 = gemm_int4,
    .dot_i8 = dot_i8,
    .patchify_rgb = patchify_rgb,
    .patchify_planes = patchify_planes,
    .block_differences = block_differences,
};
