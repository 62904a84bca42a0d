// oneDNN 2.6 (Debian libdnnl-dev) as Swift sees it.
#ifndef LT_CONEDNN_SHIM_H
#define LT_CONEDNN_SHIM_H
#include <oneapi/dnnl/dnnl.h>
#endif
