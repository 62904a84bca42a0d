// libgomp, the OpenMP runtime that oneDNN uses, called directly so that oneDNN's products and our kernels share one
// thread pool.
#ifndef LT_COPENMP_SHIM_H
#define LT_COPENMP_SHIM_H

// libgomp's stable entry point of a parallel region (GOMP_4.0 ABI, GCC 4.9 and later).
void GOMP_parallel(void (*body)(void *), void *data, unsigned thread_count, unsigned flags);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
int omp_get_max_threads(void);
void omp_set_num_threads(int thread_count);

#endif
