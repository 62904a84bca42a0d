#include "CKernels.h"
#include <string.h>

extern const lt_kernels lt_kernels_portable;

#if defined(__x86_64__)
extern const lt_kernels lt_kernels_avx512vnni, lt_kernels_avx512, lt_kernels_avx2;

// __builtin_cpu_supports also checks XGETBV: it returns 0 if the operating system does not save the wide registers.
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
static int has_avx512vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

const lt_kernels *const *lt_kernels_available(void) {
    // Every call writes the same values, so concurrent first calls cannot disagree.
    static const lt_kernels *tables[5];
    size_t count = 0;
#if defined(__x86_64__)
    if (has_avx512vnni()) tables[count++] = &lt_kernels_avx512vnni;
    if (has_avx512()) tables[count++] = &lt_kernels_avx512;
    if (has_avx2()) tables[count++] = &lt_kernels_avx2;
#endif
    tables[count++] = &lt_kernels_portable;
    return tables;
}

const lt_kernels *lt_kernels_named(const char *name) {
    const lt_kernels *const *table = lt_kernels_available();
    if (!name) return *table;
    for (; *table; table++)
        if (strcmp((*table)->name, name) == 0) return *table;
    return NULL;
}
