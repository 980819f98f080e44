/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about requests that fail: the first one when it happens, all of them counted at the
 * end (MET-42). The output's thread. */
#pragma once
#include "base/error.h"

struct sq_delivery {    /* the names set, the rest zeroed */
    const char *output; /* its name; borrowed */
    const char *where;  /* the receiver, without credentials; borrowed */
    const char *what;   /* "requests" */
    uint64_t sent, failed;
    bool slow; /* said already */
};

/* rc of one request, with its words when negative. */
void sq_delivery_note(struct sq_delivery *d, int rc, const struct sq_error *why);
/* A flush took longer than its interval: said once. */
void sq_delivery_took(struct sq_delivery *d, int64_t took_ns, int64_t interval_ns);
void sq_delivery_end(const struct sq_delivery *d);
