/* SPDX-License-Identifier: Apache-2.0 */
/* Names to addresses by c-ares on the loop: cached for dns.ttl, equal lookups merged, a bounded
 * number under way (NT-1). Loop's thread. */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "base/list.h"
#include "net/address.h"
#include "net/net.h"

struct sq_dns;

struct sq_dns_result {
    int error;                         /* 0, or SQ_EDNS */
    int error_code;                    /* MET-38: 1101 no such host, 1100 else */
    const char *text;                  /* "lookup <h>: no such host"; "" without an error */
    const union sq_address *addresses; /* ports 0; allowed by dns.policy and in its order */
    size_t count;                      /* > 0 without an error */
    uint32_t *turn;                    /* for sq_dns_select: whose turn it is of this name */
};

/* Embedded in the asker; stays until done was called or the query cancelled. */
struct sq_dns_query {
    struct sq_list node;
    void (*done)(struct sq_dns_query *query, const struct sq_dns_result *result);
};

SQ_MUST_USE int sq_dns_new(struct sq_loop *loop, const struct sq_net_options *options,
                           struct sq_dns **out, struct sq_error *err);
/* Queries still waiting are never answered. */
void sq_dns_free(struct sq_dns *dns);
/* `name` is ASCII. `done` is called once: inside this call when the answer is at hand, else from a
 * later callback of the loop. The result is borrowed for that call. */
void sq_dns_lookup(struct sq_dns *dns, struct sq_slice name, struct sq_dns_query *query);
void sq_dns_cancel(struct sq_dns_query *query); /* harmless after done */
/* The one address that dns.select names out of an answer (NT-3). */
const union sq_address *sq_dns_select(struct sq_dns *dns, const struct sq_dns_result *result);
/* Questions that went to c-ares so far: tests count merging and caching by it. */
uint64_t sq_dns_questions(const struct sq_dns *dns);
