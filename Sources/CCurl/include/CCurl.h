// libcurl (7.85 or later) for Swift: what `Sources/Hub/HTTPClient.swift` needs of it.
#ifndef LT_CCURL_H
#define LT_CCURL_H

#include <curl/curl.h>
#include <stddef.h>

// Loads the library and initializes it; call it before any other function. Later calls cost nothing, and it is
// thread-safe. Returns NULL, otherwise an error message, which is static.
const char *lt_curl_load(void);

// A handle for one request after another, which keeps connections open; NULL without memory. `lt_curl_free` frees it.
CURL *lt_curl_new(void);
void lt_curl_free(CURL *handle);
// Forgets all options; connections stay open.
void lt_curl_reset(CURL *handle);

// Swift cannot call curl_easy_setopt and curl_easy_getinfo, which are variadic. Texts are copied by libcurl.
CURLcode lt_curl_set_text(CURL *handle, CURLoption option, const char *text);
CURLcode lt_curl_set_number(CURL *handle, CURLoption option, long number);
// `buffer` has CURL_ERROR_SIZE bytes; it and `headers` must live until the request has ended.
CURLcode lt_curl_set_error_buffer(CURL *handle, char *buffer);
CURLcode lt_curl_set_headers(CURL *handle, struct curl_slist *headers);
// Called with each header line, each piece of the body, and about once per second (nonzero stops the request).
CURLcode lt_curl_set_callbacks(
    CURL *handle, void *context, size_t (*header)(char *, size_t, size_t, void *),
    size_t (*body)(char *, size_t, size_t, void *),
    int (*progress)(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t));

// Appends a copy of `text`; NULL without memory, and the list is unchanged. `lt_curl_free_list` frees the list.
struct curl_slist *lt_curl_append(struct curl_slist *list, const char *text);
void lt_curl_free_list(struct curl_slist *list);

CURLcode lt_curl_perform(CURL *handle);
// The last response's status, and the absolute URL that its Location names; NULL if there is none.
long lt_curl_status(CURL *handle);
const char *lt_curl_redirect(CURL *handle);
const char *lt_curl_message(CURLcode code);

// Writes a URL's scheme, host and port ("https://host:443"), in lower case, with its NUL; returns 0 if `url` is invalid
// or `size` too small.
int lt_curl_origin(const char *url, char *origin, size_t size);

#endif
