/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.x heads, RFC 9112, as far as an upgrade or a CONNECT needs them: responses for the client,
 * requests for the server side, and the body of a refusal. Rules HR-1, HR-9, HR-10. Pure: the
 * caller gathers bytes in one buffer and shows all of it at each call. */
#pragma once
#include "base/base.h"

enum {
    SQ_HTTP1_HEAD_MAX = 16 * 1024, /* bytes of the whole head with its blank line */
    SQ_HTTP1_LINE_MAX = 8 * 1024,  /* bytes of one line with its end */
    SQ_HTTP1_FIELDS_MAX = 100,
    SQ_HTTP1_BODY_MAX = 1024, /* bytes kept of a refusal's body */
};

struct sq_http1_field {
    struct sq_slice name, value; /* as sent; value without blanks around it */
};

/* About 3 KiB: for the stack, or for as long as the handshake lasts. */
struct sq_http1_head {
    uint8_t minor;                  /* HTTP/1.minor: 0 or 1 */
    int status;                     /* responses: 100..999 */
    struct sq_slice reason;         /* responses; may be empty */
    struct sq_slice method, target; /* requests */
    size_t fields_count;
    struct sq_http1_field fields[SQ_HTTP1_FIELDS_MAX];
};

enum sq_http1_kind { SQ_HTTP1_RESPONSE, SQ_HTTP1_REQUEST };

/* How far the buffer was looked at. Zeroed (with its kind set) before every head. */
struct sq_http1_parser {
    enum sq_http1_kind kind;
    uint32_t seen_bytes, line_bytes, lines;
    uint8_t error; /* sq_http1_reason */
};

/* `in` is everything received since the head's first byte, at each call. Returns the bytes of the
 * head when it is complete (more than 0: *head is filled and borrows from `in`; what follows
 * belongs to the body, the tunnel or the WebSocket stream), 0 when more input is needed (*head
 * untouched), SQ_EPROTO for a malformed head or SQ_ETOOBIG above the limits. 1xx heads are returned
 * like any other: the caller skips them, and zeroes *p for the next. */
SQ_MUST_USE int sq_http1_parse(struct sq_http1_parser *p, struct sq_slice in,
                               struct sq_http1_head *head);
/* After an error: what was wrong. Static. */
const char *sq_http1_reason(const struct sq_http1_parser *p);

/* Looks a name up from field *at on (start with 0; it is moved past the hit). False: no more. */
bool sq_http1_find(const struct sq_http1_head *head, const char *name, size_t *at,
                   struct sq_slice *value);
/* Does a comma-separated list, over all fields of that name, hold the token (without case)? */
bool sq_http1_has_token(const struct sq_http1_head *head, const char *name, const char *token);
/* Takes the next element off a comma-separated list, without blanks; empty ones are skipped; commas
 * in quoted strings do not count. False at the end. */
bool sq_http1_list_next(struct sq_slice *list, struct sq_slice *element);
/* RFC 9110 5.6.2. */
bool sq_http1_is_token(struct sq_slice text);

enum sq_http1_framing {
    SQ_HTTP1_BODY_NONE,
    SQ_HTTP1_BODY_LENGTH,
    SQ_HTTP1_BODY_CHUNKED,
    SQ_HTTP1_BODY_UNTIL_EOF,
};

/* The body of a response, of which the first KiB is kept. Zeroed by init. */
struct sq_http1_body {
    enum sq_http1_framing framing;
    uint8_t state;
    uint8_t line_bytes;
    bool done;
    uint64_t left_bytes;
    uint16_t len;
    uint8_t data[SQ_HTTP1_BODY_MAX];
};

void sq_http1_body_init(struct sq_http1_body *body, const struct sq_http1_head *response);
/* Returns 1 when nothing more is needed (the body ended or data is full), 0 for more, SQ_EPROTO for
 * bad chunks (what was gathered stands). Call once with no bytes after init: bodies may be empty.
 */
SQ_MUST_USE int sq_http1_body_feed(struct sq_http1_body *body, struct sq_slice in);
