/* SPDX-License-Identifier: Apache-2.0 */
/* The address of a receiver: scheme://user:password@host:port/path?query (RFC 3986), taken apart so
 * that what is logged never holds the credentials. */
#pragma once
#include "base/base.h"
#include "base/error.h"

struct sq_target {         /* all owned; NULL: not given */
    char *scheme;          /* lower case */
    char *user, *password; /* percent-decoded */
    char *host;            /* without the brackets of IPv6 */
    char *port;
    char *path;  /* with its first slash; "" when there is none */
    char *query; /* behind "?", as written */
    char *url;   /* scheme://host:port, for requests and messages */
};

/* SQ_EINVALID with words that show no credentials. */
SQ_MUST_USE int sq_target_parse(const char *text, struct sq_target *out, struct sq_error *err);
void sq_target_deinit(struct sq_target *target);
