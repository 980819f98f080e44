/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with an optional ceiling. Zero-initialised is empty and valid. One thread.
 */
#pragma once
#include "base/base.h"

struct sq_buf {
    uint8_t *data; /* NULL while nothing was ever reserved */
    size_t len;
    size_t cap;
    size_t max_bytes; /* 0: no ceiling */
};

/* Make room for `more` bytes behind len. 0, SQ_ETOOBIG above the ceiling, or -ENOMEM. */
SQ_MUST_USE int sq_buf_reserve(struct sq_buf *b, size_t more);
SQ_MUST_USE int sq_buf_append(struct sq_buf *b, const void *data, size_t len);

/* For buffers without a ceiling whose content we chose: cannot fail. */
void sq_buf_put(struct sq_buf *b, const void *data, size_t len);
void sq_buf_puts(struct sq_buf *b, const char *text);
void sq_buf_putc(struct sq_buf *b, char c);
void sq_buf_printf(struct sq_buf *b, const char *fmt, ...) SQ_PRINTF(2, 3);

/* Drops the first `len` bytes. */
void sq_buf_consume(struct sq_buf *b, size_t len);
/* The content with a NUL behind it (not counted). Borrowed until the next change. */
const char *sq_buf_cstr(struct sq_buf *b);
/* Hands the bytes over, NUL-terminated; owned: free(). The buffer is empty afterwards. */
char *sq_buf_steal(struct sq_buf *b);
void sq_buf_deinit(struct sq_buf *b);

static inline struct sq_slice sq_buf_slice(const struct sq_buf *b)
{
    return sq_slice(b->data, b->len);
}
