/* SPDX-License-Identifier: Apache-2.0 */
/* The opening handshake, RFC 6455 section 4, both sides: request head out, response judged
 * (client); request judged, response head out (server). Rules HS, HR, PMD-1..PMD-8, WS-11..WS-15,
 * WS-25. Pure; the key comes from base/random.h. */
#pragma once
#include "base/base.h"
#include "base/buf.h"
#include "base/error.h"
#include "proto/http1/head.h"
#include "proto/url.h"
#include "proto/ws/deflate.h"

enum { SQ_WS_KEY_LEN = 24, SQ_WS_ACCEPT_LEN = 28 };

/* 16 random bytes in base64, NUL-terminated; a new one for each attempt (HS-4). */
void sq_ws_key_new(char out[SQ_WS_KEY_LEN + 1]);
/* The Sec-WebSocket-Accept that belongs to a key (RFC 6455 4.2.2). NUL-terminated. */
void sq_ws_accept_key(struct sq_slice key, char out[SQ_WS_ACCEPT_LEN + 1]);

struct sq_ws_request {
    const struct sq_url *url;
    struct sq_slice host; /* Host's value when it is not the URL's (IDNA); or empty */
    const char *key;      /* sq_ws_key_new */
    const struct sq_http1_field *headers; /* the script's, in its order, any case, raw values */
    size_t headers_count;
    struct sq_slice user_agent; /* the default; empty: none */
    struct sq_slice cookie;     /* from the jar; empty: none */
    struct sq_ws_pmd offer;     /* PMD-1 */
    bool http2;                 /* an extended CONNECT (RFC 8441 5) in place of a GET */
};

/* Appends the whole request head. Script headers: names made canonical, of equal ones the last
 * counts; Host, User-Agent and Cookie replace ours; bad names, Content-Length and Transfer-Encoding
 * are dropped; values cleaned (WS-11..WS-15). 0, or SQ_EINVALID when one of the five forbidden
 * names is among them: *err is then "websocket: duplicate header not allowed: Upgrade" (WS-13) and
 * *out is unchanged. With `http2` the lines of a header block, "name: value\r\n" each: first the
 * pseudo-headers, ":method: CONNECT" and so on, then the rest in lower case, without those that
 * HTTP/2 does not know (RFC 9113 8.2.2) and without a key. */
SQ_MUST_USE int sq_ws_request_build(const struct sq_ws_request *request, struct sq_buf *out,
                                    struct sq_error *err);
/* The subprotocols those headers ask for, as sent; empty: none. Borrowed from the headers. */
struct sq_slice sq_ws_request_protocols(const struct sq_http1_field *headers, size_t count);
/* x-my-hdr -> X-My-Hdr, in place; not a token: unchanged. */
void sq_http1_canonical_name(char *name, size_t len);

struct sq_ws_expect {
    const char *key;           /* sent with the request */
    struct sq_slice protocols; /* asked for, comma-separated; empty: none */
    struct sq_ws_pmd offer;    /* sent with the request */
    bool lenient;              /* [L]: unasked subprotocols and unknown extensions pass; an unasked
                                  permessage-deflate with both no_context_takeover is used */
    bool http2; /* the answer to an extended CONNECT: 200, without Upgrade, Connection and key */
};

struct sq_ws_verdict {
    const char *text;           /* for the script, k6's words: "websocket: bad handshake"; static */
    char reason[160];           /* which rule failed: "the response has no Upgrade: websocket" */
    struct sq_slice protocol;   /* what the server chose; empty: none. Borrowed from the head */
    struct sq_slice extensions; /* the first such header's value, as sent. Borrowed from the head */
    struct sq_ws_pmd pmd;       /* agreed on; all zero: no compression */
};

/* Judges a final response (1xx but 101 were skipped). 0: upgraded. SQ_EREFUSED: another status.
 * SQ_EPROTO: a 101 that breaks a rule. *out is filled in every case: `protocol` and `extensions`
 * even for failures, `text` and `reason` for those only. */
SQ_MUST_USE int sq_ws_response_check(const struct sq_ws_expect *expect,
                                     const struct sq_http1_head *response,
                                     struct sq_ws_verdict *out);

struct sq_ws_accept_options {
    struct sq_slice protocols; /* ours, comma-separated, in order of preference; empty: none;
                                  "*": the first one the client names */
    bool deflate;              /* answer permessage-deflate offers */
    bool keep_context;         /* without: the answer adds both no_context_takeover flags */
    struct sq_slice server;    /* value of a Server header; empty: none */
};

struct sq_ws_accepted {
    int status;               /* 101, 400, 405, 426 or 505 */
    const char *reason;       /* for a refusal: why; static */
    struct sq_slice protocol; /* borrowed from the request */
    struct sq_ws_pmd pmd;
};

/* Judges a request and appends the response head (and a short text body to a refusal, with
 * Connection: close). 0: upgraded; SQ_EREFUSED: send *response and close. */
SQ_MUST_USE int sq_ws_handshake_accept(const struct sq_http1_head *request,
                                       const struct sq_ws_accept_options *opt,
                                       struct sq_buf *response, struct sq_ws_accepted *out);
