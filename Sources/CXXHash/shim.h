#ifndef LT_CXXHASH_SHIM_H
#define LT_CXXHASH_SHIM_H
#include <xxhash.h>
#endif
