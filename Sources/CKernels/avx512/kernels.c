// The kernels compiled for AVX-512 F, BW, VL and DQ; dispatch.c selects them at run time, so the build needs no target
// flag.
#if defined(__x86_64__)
#define LT_TABLE lt_kernels_avx512
#define LT_TABLE_NAME "avx512"
#define LT_AVX2 1
#define LT_DOT_LANES 16
#define LT_DOT_SUMS 4
#define LT_DOT_TAIL 8
#define LT_DOT_TILE_WEIGHTS 4
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
                             apply_to = function)
#include "../kernels.inc"
#pragma clang attribute pop
#else
typedef int lt_avx512_needs_x86_64;
#endif
