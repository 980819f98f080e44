/* SPDX-License-Identifier: Apache-2.0 */
/* ws:// and wss:// URLs as k6 reads them: WS-19..WS-24, HS-1, HS-2. Pure; any thread. */
#pragma once
#include "base/base.h"
#include "base/error.h"

enum sq_url_flags {
    SQ_URL_ALLOW_USERINFO = 1,    /* k6/ws refuses it (WS-20) */
    SQ_URL_DROP_DEFAULT_PORT = 2, /* `:80` of ws leaves the Host header, as a browser does (HS-2);
                                     k6/ws keeps a port that was written (WS-21) */
};

/* The strings are one allocation owned by the struct. */
struct sq_url {
    bool secure;       /* wss */
    bool host_is_ipv6; /* it stood in brackets */
    bool port_given;
    bool port_invalid; /* a number above 65535: parsing succeeds, dialling fails "invalid port" */
    uint16_t port;     /* 80 or 443 when none was given */
    const char *host;  /* to dial; without brackets, zone kept as "fe80::1%eth0"; may be empty and
                          may be non-ASCII UTF-8: then name resolution or IDNA decide */
    const char *host_header; /* Host's value: brackets, no zone, no user info */
    const char *target;      /* request target "/path?query", percent-encoded where needed */
    const char *userinfo; /* percent-decoded "user:password"; "" when there was none. NUL inside is
                             refused */
    char *store;
};

/* 0, or SQ_EINVALID with words in *err: "malformed URL" is part of them. *out needs
 * sq_url_deinit only after success. */
SQ_MUST_USE int sq_url_parse(struct sq_slice text, unsigned flags, struct sq_url *out,
                             struct sq_error *err);
void sq_url_deinit(struct sq_url *url);
