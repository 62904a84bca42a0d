// The kernels compiled for AVX-512 with VNNI, which adds int8 dot products; dispatch.c selects them at run time.
#if defined(__x86_64__)
#define LT_TABLE lt_kernels_avx512vnni
#define LT_TABLE_NAME "avx512vnni"
#define LT_VNNI 1
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c"))), \
                             apply_to = function)
#include "../kernels.inc"
#pragma clang attribute pop
#else
typedef int lt_avx512vnni_needs_x86_64;
#endif
