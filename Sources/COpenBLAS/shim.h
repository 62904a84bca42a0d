// OpenBLAS, loaded on first use: it starts its threads and reads OPENBLAS_CORETYPE when it is loaded, so a process
// that computes with oneDNN never pays for it, and the core type can be set before.
#ifndef LT_COPENBLAS_SHIM_H
#define LT_COPENBLAS_SHIM_H

#include <dlfcn.h>
#include <stddef.h>

typedef void (*lt_sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                         int lda, const float *b, int ldb, float beta, float *c, int ldc);
enum { lt_row_major = 101, lt_no_transpose = 111, lt_transpose = 112 };

// The functions used, or NULL members when the library is absent.
typedef struct {
    lt_sgemm sgemm;
    void (*set_num_threads)(int);
    char *(*get_config)(void);
    char *(*get_corename)(void);
} lt_openblas;

static inline lt_openblas lt_openblas_load(void) {
    lt_openblas blas = {0, 0, 0, 0};
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) return blas;
    blas.sgemm = (lt_sgemm)dlsym(library, "cblas_sgemm");
    blas.set_num_threads = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    blas.get_config = (char *(*)(void))dlsym(library, "openblas_get_config");
    blas.get_corename = (char *(*)(void))dlsym(library, "openblas_get_corename");
    return blas;
}

#endif
