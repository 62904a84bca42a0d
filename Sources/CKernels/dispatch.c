#include "CKernels.h"
int lt_kernels_version(void) { return 1; }
