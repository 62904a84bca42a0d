// OpenBLAS, loaded with dlopen on first use. It starts its threads and reads OPENBLAS_CORETYPE at load time: a process
// that computes with oneDNN starts no OpenBLAS threads, and the core type can be set before loading.
#ifndef LT_COPENBLAS_SHIM_H
#define LT_COPENBLAS_SHIM_H

#include <dlfcn.h>
#include <stddef.h>

/// cblas_sgemm: C = alpha * op(A) * op(B) + beta * C, f32; lda, ldb and ldc in elements.
typedef void (*lt_sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                         int lda, const float *b, int ldb, float beta, float *c, int ldc);
/// CBLAS_ORDER and CBLAS_TRANSPOSE values of cblas.h.
enum { lt_row_major = 101, lt_no_transpose = 111, lt_transpose = 112 };

/// The functions used; every member is NULL if the library is not installed.
typedef struct {
    lt_sgemm sgemm;
    void (*set_num_threads)(int);
    char *(*get_config)(void);
} lt_openblas;

/// Loads libopenblas.so.0; the library is never unloaded.
static inline lt_openblas lt_openblas_load(void) {
    lt_openblas blas = {0, 0, 0};
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) return blas;
    blas.sgemm = (lt_sgemm)dlsym(library, "cblas_sgemm");
    blas.set_num_threads = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    blas.get_config = (char *(*)(void))dlsym(library, "openblas_get_config");
    return blas;
}

#endif
