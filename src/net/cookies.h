/* SPDX-License-Identifier: Apache-2.0 */
/* A cookie jar, RFC 6265, with the public suffix list against cookies for whole registries. One per
 * VU (MOD-67); shared by HTTP and WebSocket handshakes (WS-28): ws counts as http, wss as https.
 * Time is an argument: wall clock, ns since 1970. Pure; one thread. */
#pragma once
#include "base/base.h"
#include "base/buf.h"

struct sq_cookie_jar;

/* Where a cookie comes from or goes to. Borrowed for each call. */
struct sq_cookie_url {
    bool secure;          /* https, wss */
    struct sq_slice host; /* without port and brackets, any letter case, Unicode or ASCII */
    struct sq_slice path; /* with or without a query; empty counts as "/" */
};

struct sq_cookie_jar *sq_cookie_jar_new(void); /* owned: sq_cookie_jar_free */
void sq_cookie_jar_free(struct sq_cookie_jar *jar);
void sq_cookie_jar_clear(struct sq_cookie_jar *jar);
size_t sq_cookie_jar_count(const struct sq_cookie_jar *jar);

/* One Set-Cookie value. 0, or SQ_EINVALID: ignored as section 5 demands (no name, a foreign domain,
 * a public suffix, control characters, above 16 KiB). */
int sq_cookie_jar_store(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                        struct sq_slice set_cookie, int64_t wall_ns);

/* A cookie as scripts give it: empty slices and zeros mean "not given". */
struct sq_cookie_fields {
    struct sq_slice name, value, domain, path;
    struct sq_slice expires; /* a date as in Set-Cookie */
    int64_t max_age_s;       /* negative: delete the cookie */
    bool secure, http_only;
};
/* 0, or SQ_EINVALID: a bad name, value, domain or date. */
SQ_MUST_USE int sq_cookie_jar_set(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                                  const struct sq_cookie_fields *fields, int64_t wall_ns);

/* Appends "a=1; b=2", in the order of section 5.4; nothing when none matches. */
void sq_cookie_jar_header(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                          int64_t wall_ns, struct sq_buf *out);
/* The same cookies one by one, in the same order. Slices are borrowed for the call; `each` must not
 * change the jar. */
void sq_cookie_jar_each(struct sq_cookie_jar *jar, const struct sq_cookie_url *url, int64_t wall_ns,
                        void (*each)(void *user, struct sq_slice name, struct sq_slice value),
                        void *user);
/* Removes the cookies that would be sent to the URL: those of that name, or all. */
void sq_cookie_jar_delete(struct sq_cookie_jar *jar, const struct sq_cookie_url *url,
                          struct sq_slice name);
void sq_cookie_jar_clear_url(struct sq_cookie_jar *jar, const struct sq_cookie_url *url);

/* RFC 6265 5.1.1. 0 and *wall_ns, or SQ_EINVALID. Dates beyond int64 ns become its ends. */
SQ_MUST_USE int sq_cookie_date_parse(struct sq_slice text, int64_t *wall_ns);
