int lt_kernels_version(void);
