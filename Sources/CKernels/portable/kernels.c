// The kernels for the compiler's default target (SSE2 on x86-64, NEON on aarch64).
#define LT_TABLE lt_kernels_portable
#define LT_TABLE_NAME "portable"
#if defined(__SSE2__)
#include <immintrin.h>
#endif
#include "../kernels.inc"
