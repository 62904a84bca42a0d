// libgomp, the OpenMP runtime that oneDNN uses, called directly so that oneDNN's products and our kernels share one
// thread pool.
#ifndef LT_COPENMP_SHIM_H
#define LT_COPENMP_SHIM_H

/// Runs `body(data)` on `thread_count` threads and returns when all are done: libgomp's stable entry point of a parallel
/// region (GOMP_4.0 ABI, GCC 4.9 and later). `data` belongs to the caller.
void GOMP_parallel(void (*body)(void *), void *data, unsigned thread_count, unsigned flags);
/// The index of the calling thread in its parallel region, from 0.
int omp_get_thread_num(void);
/// The number of threads of the current parallel region.
int omp_get_num_threads(void);
/// Sets the number of threads of later regions that the calling thread starts.
void omp_set_num_threads(int thread_count);

/// Tells the CPU that the thread waits for another one's write: the core's other hardware thread gets its resources.
static inline void lt_spin_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
