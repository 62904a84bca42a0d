#ifndef LT_CXXHASH_SHIM_H
#define LT_CXXHASH_SHIM_H
// libxxhash: XXH3-64 in Store/Files/Checksum.swift.
#include <xxhash.h>
#endif
