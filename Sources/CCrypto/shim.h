#ifndef LT_CCRYPTO_SHIM_H
#define LT_CCRYPTO_SHIM_H
// libcrypto (OpenSSL): SHA-256 in Store/Files/ContentHash.swift.
#include <openssl/evp.h>
#include <openssl/hmac.h>
#endif
