// The kernels compiled for AVX2, FMA and F16C; dispatch.c selects them at run time, so the build needs no target flag.
#if defined(__x86_64__)
#define LT_TABLE lt_kernels_avx2
#define LT_TABLE_NAME "avx2"
#define LT_AVX2 1
#define LT_DOT_LANES 8
#define LT_DOT_SUMS 4
#define LT_DOT_TAIL 4
#define LT_DOT_TILE_WEIGHTS 2
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "../kernels.inc"
#pragma clang attribute pop
#else
typedef int lt_avx2_needs_x86_64;
#endif
