// Loads libcurl when it is first needed.
//
// If linked, it and its 30 dependencies would load at every start of the program, and only downloads need it.

#include "CCurl.h"

#include <ctype.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

// The headers define some of these names as macros, which check the types of variadic arguments.
#undef curl_easy_setopt
#undef curl_easy_getinfo

#define FUNCTIONS(F) \
    F(curl_global_init) F(curl_easy_init) F(curl_easy_cleanup) F(curl_easy_reset) F(curl_easy_setopt) \
    F(curl_easy_getinfo) F(curl_easy_perform) F(curl_easy_strerror) F(curl_slist_append) F(curl_slist_free_all) \
    F(curl_url) F(curl_url_cleanup) F(curl_url_set) F(curl_url_get) F(curl_free)

#define SLOT(function) __typeof__(function) *function;
static struct {
    FUNCTIONS(SLOT)
} curl;

#define ENTRY(function) {#function, (void **)&curl.function},
static const struct {
    const char *name;
    void **slot;
} entries[] = {FUNCTIONS(ENTRY)};

static char problem[512];
static int is_missing;

static void load(void) {
    // Debian's name for the build with OpenSSL; version 4 of the interface since 2006.
    void *library = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);
    if (!library) {
        snprintf(problem, sizeof problem, "%s", dlerror());
        is_missing = 1;
        return;
    }
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        *entries[i].slot = dlsym(library, entries[i].name);
        if (!*entries[i].slot) {
            snprintf(problem, sizeof problem, "%s", dlerror());
            is_missing = 1;
            return;
        }
    }
    CURLcode code = curl.curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code != CURLE_OK) {
        snprintf(problem, sizeof problem, "libcurl: %s", curl.curl_easy_strerror(code));
        is_missing = 1;
    }
}

const char *lt_curl_load(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    return is_missing ? problem : NULL;
}

CURL *lt_curl_new(void) { return curl.curl_easy_init(); }
void lt_curl_free(CURL *handle) { curl.curl_easy_cleanup(handle); }
void lt_curl_reset(CURL *handle) { curl.curl_easy_reset(handle); }

CURLcode lt_curl_set_text(CURL *handle, CURLoption option, const char *text) {
    return curl.curl_easy_setopt(handle, option, text);
}

CURLcode lt_curl_set_number(CURL *handle, CURLoption option, long number) {
    return curl.curl_easy_setopt(handle, option, number);
}

CURLcode lt_curl_set_error_buffer(CURL *handle, char *buffer) {
    return curl.curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, buffer);
}

CURLcode lt_curl_set_headers(CURL *handle, struct curl_slist *headers) {
    return curl.curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
}

CURLcode lt_curl_set_callbacks(
    CURL *handle, void *context, size_t (*header)(char *, size_t, size_t, void *),
    size_t (*body)(char *, size_t, size_t, void *),
    int (*progress)(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t)) {
    CURLcode code = curl.curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, header);
    if (code == CURLE_OK) code = curl.curl_easy_setopt(handle, CURLOPT_HEADERDATA, context);
    if (code == CURLE_OK) code = curl.curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, body);
    if (code == CURLE_OK) code = curl.curl_easy_setopt(handle, CURLOPT_WRITEDATA, context);
    if (code == CURLE_OK) code = curl.curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, progress);
    if (code == CURLE_OK) code = curl.curl_easy_setopt(handle, CURLOPT_XFERINFODATA, context);
    if (code == CURLE_OK) code = curl.curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    return code;
}

struct curl_slist *lt_curl_append(struct curl_slist *list, const char *text) {
    return curl.curl_slist_append(list, text);
}

void lt_curl_free_list(struct curl_slist *list) { curl.curl_slist_free_all(list); }

CURLcode lt_curl_perform(CURL *handle) { return curl.curl_easy_perform(handle); }

long lt_curl_status(CURL *handle) {
    long status = 0;
    return curl.curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK ? status : 0;
}

const char *lt_curl_redirect(CURL *handle) {
    char *url = NULL;
    return curl.curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &url) == CURLE_OK ? url : NULL;
}

const char *lt_curl_message(CURLcode code) { return curl.curl_easy_strerror(code); }

int lt_curl_origin(const char *url, char *origin, size_t size) {
    CURLU *parts = curl.curl_url();
    if (!parts) return 0;
    char *scheme = NULL, *host = NULL, *port = NULL;
    int written = -1;
    if (curl.curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl.curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl.curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl.curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        written = snprintf(origin, size, "%s://%s:%s", scheme, host, port);
    }
    curl.curl_free(scheme);
    curl.curl_free(host);
    curl.curl_free(port);
    curl.curl_url_cleanup(parts);
    if (written < 0 || (size_t)written >= size) return 0;
    for (char *c = origin; *c; c++) *c = (char)tolower((unsigned char)*c);
    return 1;
}
