/* SPDX-License-Identifier: Apache-2.0 */
/* The URL record of the WHATWG URL standard: basic parser, serialiser. Pure but for IDNA; any
 * thread. */
#pragma once
#include "base/base.h"
#include "base/buf.h"

struct dom_url {
    char *scheme; /* without the colon */
    char *username, *password;
    char *host;     /* serialised; NULL: null */
    int port;       /* -1: null */
    char *path;     /* serialised; the whole of it when `opaque` */
    char *query;    /* NULL: null */
    char *fragment; /* NULL: null */
    bool opaque;
};

/* 0, or SQ_EINVALID. `base` may be NULL. *out needs sq_dom_url_deinit only after success. */
SQ_MUST_USE int sq_dom_url_parse(struct sq_slice text, const struct dom_url *base,
                                 struct dom_url *out);
void sq_dom_url_deinit(struct dom_url *url);
bool sq_dom_url_is_special(const char *scheme);
/* -1: the scheme has none. */
int sq_dom_url_default_port(const char *scheme);
/* Percent-encoded for a username or password. Owned: free. */
char *sq_dom_url_userinfo(struct sq_slice text);
/* Appends the serialisation. */
void sq_dom_url_write(const struct dom_url *url, bool with_fragment, struct sq_buf *out);
/* "ws://host:port", "null" for schemes without origins. */
void sq_dom_url_origin(const struct dom_url *url, struct sq_buf *out);
