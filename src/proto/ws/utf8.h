/* SPDX-License-Identifier: Apache-2.0 */
/* Incremental UTF-8 validation (RFC 3629, Unicode table 3-7; rules TX-1..TX-6): the verdict comes
 * with the first byte that cannot be part of a valid text. Pure; any thread. */
#pragma once
#include "base/base.h"
#include "base/buf.h"

/* One message in progress. Zero-initialised: at the start of a text. */
struct sq_ws_utf8 {
    uint8_t need;   /* continuation bytes still missing */
    uint8_t lo, hi; /* bounds of the next one while need > 0 */
    bool non_ascii; /* a byte above 0x7f was seen */
};

/* 0, or SQ_EUTF8: nothing after that byte matters. */
SQ_MUST_USE int sq_ws_utf8_feed(struct sq_ws_utf8 *u, const void *data, size_t len);
/* At the end of the text: 0, or SQ_EUTF8 when a sequence is unfinished. */
SQ_MUST_USE int sq_ws_utf8_end(const struct sq_ws_utf8 *u);
/* Whole text at once. */
bool sq_ws_utf8_valid(struct sq_slice text);

/* Appends `text` to *out with each byte that cannot be decoded replaced by U+FFFD (WS-104,
 * lenient). 0, SQ_ETOOBIG or -ENOMEM. */
SQ_MUST_USE int sq_ws_utf8_replace(struct sq_slice text, struct sq_buf *out);
