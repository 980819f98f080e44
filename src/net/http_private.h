/* SPDX-License-Identifier: Apache-2.0 */
/* What http.c, http_curl.c and http_url.c share. Not for other layers. */
#pragma once
#include <pthread.h>

/* Its checks of option types are macros around the functions, which here are pointers. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/error.h"
#include "proto/url.h"

#define SQ_HTTP_CURL_FUNCTIONS(X)             \
    X(global_init, curl_global_init)          \
    X(global_cleanup, curl_global_cleanup)    \
    X(version_info, curl_version_info)        \
    X(easy_init, curl_easy_init)              \
    X(easy_setopt, curl_easy_setopt)          \
    X(easy_getinfo, curl_easy_getinfo)        \
    X(easy_reset, curl_easy_reset)            \
    X(easy_cleanup, curl_easy_cleanup)        \
    X(easy_strerror, curl_easy_strerror)      \
    X(multi_init, curl_multi_init)            \
    X(multi_setopt, curl_multi_setopt)        \
    X(multi_add, curl_multi_add_handle)       \
    X(multi_remove, curl_multi_remove_handle) \
    X(multi_assign, curl_multi_assign)        \
    X(multi_action, curl_multi_socket_action) \
    X(multi_read, curl_multi_info_read)       \
    X(multi_cleanup, curl_multi_cleanup)      \
    X(share_init, curl_share_init)            \
    X(share_setopt, curl_share_setopt)        \
    X(share_cleanup, curl_share_cleanup)      \
    X(slist_append, curl_slist_append)        \
    X(slist_free, curl_slist_free_all)

/* libcurl's functions, found at run time. */
struct sq_curl {
#define X(member, symbol) __typeof__(&symbol) member;
    SQ_HTTP_CURL_FUNCTIONS(X)
#undef X
};

/* Opens libcurl for this thread; every success needs its sq_curl_close. */
SQ_MUST_USE int sq_curl_open(struct sq_curl *curl, struct sq_error *err);
void sq_curl_close(const struct sq_curl *curl);

/* http:// and https:// with or without credentials; on success sq_url_deinit. */
SQ_MUST_USE int sq_http_url_parse(const char *text, struct sq_url *out, struct sq_error *err);
