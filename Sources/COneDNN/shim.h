// The oneDNN C API (Debian's libdnnl-dev, oneDNN 2.6) for Swift.
#ifndef LT_CONEDNN_SHIM_H
#define LT_CONEDNN_SHIM_H
#include <oneapi/dnnl/dnnl.h>
#endif
