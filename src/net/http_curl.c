/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl at run time. It stays mapped until the process ends: what it drags in does not expect to
 * be unloaded. */
#include <dlfcn.h>
#include <string.h>

#include "net/http_private.h"

/* Before 7.84 libcurl's own start and end are not safe against each other; it keeps the count. */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;

int sq_curl_open(struct sq_curl *curl, struct sq_error *err)
{
    static const struct {
        size_t offset;
        const char *symbol;
    } table[] = {
#define X(member, symbol) {offsetof(struct sq_curl, member), #symbol},
        SQ_HTTP_CURL_FUNCTIONS(X)
#undef X
    };
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (!library)
        return sq_error_set(err, SQ_EINVALID,
                            "k6/http needs the library libcurl.so.4, which cannot be opened (%s); "
                            "Debian and Ubuntu have it in the package libcurl4",
                            dlerror());
    for (size_t i = 0; i < SQ_COUNT(table); i++) {
        void *found = dlsym(library, table[i].symbol);
        if (!found)
            return sq_error_set(err, SQ_EINVALID,
                                "k6/http: the libcurl.so.4 of this machine has no %s",
                                table[i].symbol);
        memcpy((char *)curl + table[i].offset, &found, sizeof found);
    }
    pthread_mutex_lock(&starting);
    CURLcode rc = curl->global_init(CURL_GLOBAL_DEFAULT);
    pthread_mutex_unlock(&starting);
    if (rc != CURLE_OK)
        return sq_error_set(err, SQ_EINVALID, "k6/http: libcurl does not start: %s",
                            curl->easy_strerror(rc));
    return 0;
}

void sq_curl_close(const struct sq_curl *curl)
{
    pthread_mutex_lock(&starting);
    curl->global_cleanup();
    pthread_mutex_unlock(&starting);
}
