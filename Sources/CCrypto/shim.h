#ifndef LT_CCRYPTO_SHIM_H
#define LT_CCRYPTO_SHIM_H
#include <openssl/evp.h>
#endif
