/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection is to do, read from its request target. Pure. */
#pragma once
#include "base/base.h"

enum sq_echo_route {
    SQ_ECHO_ECHO,
    SQ_ECHO_PUSH,
    SQ_ECHO_BROADCAST,
    SQ_ECHO_CLOSE,
    SQ_ECHO_PING,
    SQ_ECHO_SILENT,
    SQ_ECHO_STALL,
    SQ_ECHO_REFUSE,
    SQ_ECHO_SLOW,
    SQ_ECHO_COOKIE,
};

enum { SQ_ECHO_TEXT_MAX = 123, SQ_ECHO_PUSH_BYTES_MAX = 1024 * 1024 };

struct sq_echo_plan {
    enum sq_echo_route route;
    int64_t interval_ns; /* push, ping: between two; close: after; slow: delay */
    uint64_t count;      /* push: messages still to come; UINT64_MAX: without end */
    uint64_t seq;        /* push: of the last one */
    uint32_t size_bytes; /* push */
    uint16_t code;       /* close: code; refuse: status */
    uint8_t text_len;
    uint8_t text[SQ_ECHO_TEXT_MAX]; /* close: reason; broadcast: room */
};

/* Fills *plan. 0, or SQ_EINVALID with *why in words (static). */
SQ_MUST_USE int sq_echo_plan_parse(struct sq_slice target, struct sq_echo_plan *plan,
                                   const char **why);
/* Writes the feed's next message, exactly plan->size_bytes long, and counts it. */
void sq_echo_plan_next_push(struct sq_echo_plan *plan, uint8_t *out);
