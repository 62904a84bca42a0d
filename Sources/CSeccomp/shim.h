#ifndef LT_CSECCOMP_SHIM_H
#define LT_CSECCOMP_SHIM_H
#include <seccomp.h>
#endif
