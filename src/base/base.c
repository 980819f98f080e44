/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

void sq_panic(const char *fmt, ...)
{
    va_list args;

    sq_log_flush_dying();
    va_start(args, fmt);
    fputs("squall: internal error: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    abort();
}

static SQ_NORETURN void out_of_memory(size_t bytes)
{
    fprintf(stderr, "squall: out of memory (%zu bytes wanted)\n", bytes);
    exit(255);
}

void *sq_xmalloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);

    if (!p)
        out_of_memory(bytes);
    return p;
}

void *sq_xcalloc(size_t count, size_t bytes)
{
    void *p = calloc(count ? count : 1, bytes ? bytes : 1);

    if (!p)
        out_of_memory(count * bytes);
    return p;
}

void *sq_xrealloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);

    if (!p)
        out_of_memory(bytes);
    return p;
}

char *sq_xstrndup(const char *text, size_t len)
{
    char *copy = sq_xmalloc(len + 1);

    if (len) /* text may be NULL then */
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *sq_xstrdup(const char *text)
{
    return sq_xstrndup(text, strlen(text));
}

char *sq_xasprintf(const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    if (len < 0)
        out_of_memory(0);
    return text;
}

void *sq_try_alloc(size_t bytes)
{
    return malloc(bytes ? bytes : 1);
}

void *sq_try_realloc(void *old, size_t bytes)
{
    return realloc(old, bytes ? bytes : 1);
}
