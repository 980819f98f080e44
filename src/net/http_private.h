/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of net/http share. Not for other layers. */
#pragma once
#include <pthread.h>

/* Its checks of option types are macros around the functions, which here are pointers. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/buf.h"
#include "base/error.h"
#include "loop/loop.h"
#include "net/content_coding.h"
#include "net/dns.h"
#include "net/http.h"
#include "net/net_private.h"
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

/* MET-38 */
enum {
    SQ_HTTP_CODE_GENERIC = 1000,
    SQ_HTTP_CODE_URL = 1020,
    SQ_HTTP_CODE_TIMEOUT = 1050,
    SQ_HTTP_CODE_DNS = 1100,
    SQ_HTTP_CODE_NO_HOST = 1101,
    SQ_HTTP_CODE_BLACKLISTED = 1110,
    SQ_HTTP_CODE_BLOCKED = 1111,
    SQ_HTTP_CODE_TCP = 1200,
    SQ_HTTP_CODE_BROKEN_PIPE = 1201,
    SQ_HTTP_CODE_DIAL = 1210,
    SQ_HTTP_CODE_DIAL_TIMEOUT = 1211,
    SQ_HTTP_CODE_REFUSED = 1212,
    SQ_HTTP_CODE_DIAL_ERRNO = 1213,
    SQ_HTTP_CODE_RESET = 1220,
    SQ_HTTP_CODE_TLS = 1300,
    SQ_HTTP_CODE_NOT_TLS = 1301,
    SQ_HTTP_CODE_AUTHORITY = 1310,
    SQ_HTTP_CODE_NAME = 1311,
    SQ_HTTP_CODE_HTTP2_STREAM = 1630,
    SQ_HTTP_CODE_HTTP2_CONNECTION = 1650,
    SQ_HTTP_CODE_DECOMPRESSION = 1701,
};

enum { SQ_HTTP_SPARE_HANDLES_MAX = 64 };

struct sq_http { /* of a thread */
    struct sq_net *net;
    struct sq_curl curl;
    CURLM *multi;
    struct sq_timer timer;
    struct sq_list watches;
    CURL *spare[SQ_HTTP_SPARE_HANDLES_MAX];
    size_t spare_count;
    struct sq_error error; /* why there is no libcurl */
};

struct sq_http_connection {
    int fd;
    uint64_t cookie;                     /* of the kernel: numbers of descriptors come again */
    uint64_t sent_bytes, received_bytes; /* already counted */
};

struct sq_http_vu {
    struct sq_net *net;
    struct sq_net_counters *counters;
    CURLSH *share; /* NULL until the first transfer */
    struct sq_http_connection *connections;
    size_t connections_count, connections_cap;
    size_t transfers; /* not SQ_HTTP_DONE */
    uint32_t id;
};

enum sq_http_state { SQ_HTTP_QUEUED, SQ_HTTP_RESOLVING, SQ_HTTP_RUNNING, SQ_HTTP_DONE };

struct sq_http_round {                             /* one request and its answer; 0: not yet */
    int64_t ready_ns, sent_ns, first_ns, heard_ns; /* heard: anything of the answer */
};

struct sq_http_transfer {
    struct sq_http_vu *vu;
    struct sq_net *net;
    void (*done)(void *user);
    void *user;
    enum sq_http_state state;
    struct sq_deferred deferred;
    struct sq_timer limit;
    struct sq_dns_query query;
    CURL *easy;
    struct curl_slist *headers, *resolve, *connect_to;
    const struct sq_proxy *proxy;
    /* the request */
    char *method, *url, *host; /* host: ASCII, without brackets */
    struct sq_url parsed;
    struct sq_buf request_headers; /* name NUL value NUL ... */
    size_t request_headers_count;
    uint8_t *request_body;
    size_t request_body_len;
    int64_t deadline_ns, start_ns, resolved_ns, curl_start_ns;
    enum sq_http_auth auth;
    bool has_body, discard_body, no_reuse, keep_heads, proxy_shaken;
    /* the response */
    struct sq_buf head, body;
    struct sq_buf sent_head, received_head; /* keep_heads */
    struct sq_content_decoder *decoder;     /* NULL: the body is kept as it is */
    struct sq_error coding_error;
    char *length; /* Content-Length, NULL: not given */
    bool two_lengths;
    struct sq_http_round round, rounds[SQ_HTTP_CHALLENGES_MAX]; /* now; of result.challenges */
    char error_buffer[CURL_ERROR_SIZE];
    char remote_ip[SQ_ADDRESS_TEXT_BYTES], status_text[128], proto[16], tls_version[8],
        tls_cipher[64];
    char *text;
    bool head_over;
    struct sq_http_result result;
};
/* ---- http.c ---- */
curl_socket_t sq_http_on_open_socket(void *user, curlsocktype purpose,
                                     struct curl_sockaddr *address);
int sq_http_on_close_socket(void *user, curl_socket_t fd);
CURLSH *sq_http_share(struct sq_http_vu *vu);

/* ---- http_options.c ---- */
/* Tells t->easy all about the request. `address` is where the first connection goes, of the proxy
 * when there is one; mapped: it is from `hosts`. False: an https URL and a libcurl without
 * OpenSSL. */
SQ_MUST_USE bool sq_http_set_options(struct sq_http_transfer *t, const union sq_address *address,
                                     bool mapped);

/* ---- http_response.c ---- */
/* `text` is owned. */
void sq_http_set_error(struct sq_http_transfer *t, int code, char *text);
/* When libcurl is through, or is cut. */
void sq_http_read_peer(struct sq_http_transfer *t);
void sq_http_read_timings(struct sq_http_transfer *t);
/* A request is about to be sent: the first, or another one after an answer that wants to know who
 * we are. */
void sq_http_next_round(struct sq_http_transfer *t);
/* The result of what libcurl is through with. */
void sq_http_take_result(struct sq_http_transfer *t, CURLcode rc);
size_t sq_http_on_header(char *data, size_t size, size_t count, void *user);
size_t sq_http_on_body(char *data, size_t size, size_t count, void *user);
int sq_http_on_debug(CURL *easy, curl_infotype type, char *data, size_t len, void *user);
