/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int sq_buf_reserve(struct sq_buf *b, size_t more)
{
    if (more <= b->cap - b->len)
        return 0;
    if (more > SIZE_MAX / 2 - b->len)
        return SQ_ETOOBIG;
    size_t want = b->len + more;
    if (b->max_bytes && want > b->max_bytes)
        return SQ_ETOOBIG;
    size_t cap = SQ_MAX(SQ_MAX(b->cap * 2, want), (size_t)64);
    if (b->max_bytes)
        cap = SQ_MIN(cap, b->max_bytes);
    uint8_t *data = sq_try_realloc(b->data, cap);
    if (!data)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int sq_buf_append(struct sq_buf *b, const void *data, size_t len)
{
    int rc = sq_buf_reserve(b, len);

    if (rc < 0)
        return rc;
    if (len)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

void sq_buf_put(struct sq_buf *b, const void *data, size_t len)
{
    if (sq_buf_append(b, data, len) < 0)
        sq_panic("buffer of %zu bytes cannot grow by %zu", b->len, len);
}

void sq_buf_puts(struct sq_buf *b, const char *text)
{
    sq_buf_put(b, text, strlen(text));
}

void sq_buf_putc(struct sq_buf *b, char c)
{
    sq_buf_put(b, &c, 1);
}

void sq_buf_printf(struct sq_buf *b, const char *fmt, ...)
{
    char small[256];
    va_list args, again;

    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    sq_assert(len >= 0);
    if ((size_t)len < sizeof small) {
        sq_buf_put(b, small, (size_t)len);
    } else {
        char *large = sq_xmalloc((size_t)len + 1);
        vsnprintf(large, (size_t)len + 1, fmt, again);
        sq_buf_put(b, large, (size_t)len);
        free(large);
    }
    va_end(again);
}

void sq_buf_consume(struct sq_buf *b, size_t len)
{
    sq_assert(len <= b->len);
    if (len == 0)
        return;
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

const char *sq_buf_cstr(struct sq_buf *b)
{
    sq_buf_putc(b, '\0');
    b->len--;
    return (const char *)b->data;
}

char *sq_buf_steal(struct sq_buf *b)
{
    sq_buf_cstr(b);
    char *text = (char *)b->data;
    b->data = NULL;
    b->len = b->cap = 0;
    return text;
}

void sq_buf_deinit(struct sq_buf *b)
{
    free(b->data);
    *b = (struct sq_buf){.max_bytes = b->max_bytes};
}
