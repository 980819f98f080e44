/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests on the loop, by libcurl's multi interface. libcurl is opened with dlopen when the
 * first request is made, because linking it would load some forty libraries at every start. One
 * multi handle per thread; the connections of a VU are its own. One request is one round trip,
 * but for what authentication takes: redirects, cookies and retries are the caller's. Names, block
 * lists, TLS and proxies are those of src/net (NT-1 to NT-15). Loop's thread. */
#pragma once
#include "base/base.h"
#include "net/net.h"

/* The connections of one VU. */
struct sq_http_vu;
/* `net` and `counters` are borrowed and outlive it. */
struct sq_http_vu *sq_http_vu_new(struct sq_net *net, uint32_t vu_id,
                                  struct sq_net_counters *counters); /* owned: sq_http_vu_free */
void sq_http_vu_free(struct sq_http_vu *vu); /* no transfer of it may be left; NULL is fine */
/* Closes connections that are kept for reuse. Not while a transfer of the VU is under way. */
void sq_http_vu_disconnect(struct sq_http_vu *vu);

struct sq_http_header {
    const char *name, *value; /* no CR, LF or NUL inside */
};

enum sq_http_auth { SQ_HTTP_AUTH_BASIC, SQ_HTTP_AUTH_DIGEST, SQ_HTTP_AUTH_NTLM };

struct sq_http_request {
    const char *method;
    const char *url; /* http:// or https://; its credentials are used for `auth` */
    /* Sent as they are; of what libcurl would add on its own only Host and Content-Length are. */
    const struct sq_http_header *headers;
    size_t headers_count;
    struct sq_slice body; /* copied */
    bool has_body;
    bool discard_body;   /* of the response */
    bool no_reuse;       /* close the connection afterwards */
    bool keep_heads;     /* as they were on the wire: for --http-debug */
    int64_t deadline_ns; /* loop time, for everything up to the last byte of the body */
    enum sq_http_auth auth;
};

struct sq_http_timings { /* ns; 0: did not happen */
    int64_t blocked, looking_up, connecting, tls_handshaking, sending, waiting, receiving;
};

/* An answer that was not the last: "who are you?" of digest and NTLM. */
struct sq_http_challenge {
    int status;
    struct sq_http_timings timings;
};
enum { SQ_HTTP_CHALLENGES_MAX = 3 };

struct sq_http_result {
    int error_code;    /* MET-38; 0: there is a response */
    const char *error; /* k6's short words for the code, or `text`; "" without an error */
    const char *text;  /* the whole story */
    int status;
    const char *status_text; /* "200 OK" */
    const char *proto;       /* "HTTP/1.1", "HTTP/2.0" */
    /* headers_count times name NUL value NUL, as received. */
    const char *headers;
    size_t headers_count;
    struct sq_slice body;                     /* decoded (MOD-70) */
    struct sq_slice sent_head, received_head; /* of all that this round trip took; keep_heads */
    const char *remote_ip;
    int remote_port;
    const char *tls_version, *tls_cipher; /* "tls1.3", IANA name; "" without TLS */
    struct sq_http_timings timings;
    struct sq_http_challenge challenges[SQ_HTTP_CHALLENGES_MAX];
    size_t challenges_count;
};

enum { SQ_HTTP_BODY_BYTES_MAX = 1 << 30 };

struct sq_http_transfer;
/* Never fails and never calls back synchronously. `done` is called once, on the loop's stack; then
 * the result is there, and the transfer may be freed, also inside `done`. The request is copied.
 * Owned: sq_http_transfer_free. */
struct sq_http_transfer *sq_http_start(struct sq_http_vu *vu, const struct sq_http_request *request,
                                       void (*done)(void *user), void *user);
/* Borrowed with the transfer; after `done`. */
const struct sq_http_result *sq_http_transfer_result(const struct sq_http_transfer *t);
/* Cuts it when it is under way: no callback then. NULL is fine. */
void sq_http_transfer_free(struct sq_http_transfer *t);

/* 0 or SQ_EINVALID with words. *host_port ("example.com:80") and *clean (credentials as ****,
 * MET-36) are owned: free(). */
SQ_MUST_USE int sq_http_url_check(const char *url, char **host_port, char **clean,
                                  struct sq_error *err);
/* `reference` (a Location) as seen from `base`, RFC 3986 section 5; owned: free(). NULL: it makes
 * no sense, or it is not http. Pure. */
char *sq_http_url_join(const char *base, const char *reference);
/* k6's words for the `error` tag of an error code (MET-38), NULL when it has none. */
const char *sq_http_short_words(int code);
/* "200" -> "OK"; "" for unknown ones. */
const char *sq_http_status_words(int status);

/* For sq_net_free. */
struct sq_http;
void sq_http_free(struct sq_http *http);
