/* SPDX-License-Identifier: Apache-2.0 */
/* What every file may count on: status codes, slices, assertions, allocation that cannot fail. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SQ_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SQ_MUST_USE __attribute__((warn_unused_result))
#define SQ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SQ_NORETURN __attribute__((noreturn))
#define SQ_UNUSED __attribute__((unused))
#define SQ_LIKELY(x) __builtin_expect(!!(x), 1)
#define SQ_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SQ_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define SQ_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SQ_MAX(a, b) ((a) > (b) ? (a) : (b))

#define SQ_NS_PER_US INT64_C(1000)
#define SQ_NS_PER_MS INT64_C(1000000)
#define SQ_NS_PER_S INT64_C(1000000000)

/* Results: 0 or positive is a value, negative an error: -errno, or one of these. */
enum sq_status {
    SQ_EPROTO = -1001,     /* the peer broke the protocol */
    SQ_EINVALID = -1002,   /* an option, argument or script is wrong */
    SQ_ETLS = -1003,       /* TLS refused: certificate, version, alert */
    SQ_EDNS = -1004,       /* a name does not resolve */
    SQ_ETOOBIG = -1005,    /* a limit that we set was passed */
    SQ_EUTF8 = -1006,      /* text that is not UTF-8 */
    SQ_EEOF = -1007,       /* the stream ended */
    SQ_ECANCELLED = -1008, /* stopped by us */
    SQ_EBLOCKED = -1009,   /* blacklistIPs or blockHostnames forbids the target */
    SQ_EPROXY = -1010,     /* the proxy refused */
    SQ_EREFUSED = -1011,   /* the server answered the upgrade with something else */
    SQ_ESCRIPT = -1012,    /* the script threw */
};

struct sq_slice {
    const uint8_t *data; /* not NUL-terminated */
    size_t len;
};

static inline struct sq_slice sq_slice(const void *data, size_t len)
{
    return (struct sq_slice){(const uint8_t *)data, len};
}
static inline struct sq_slice sq_slice_str(const char *text)
{
    return (struct sq_slice){(const uint8_t *)text, strlen(text)};
}
static inline bool sq_slice_eq(struct sq_slice a, struct sq_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Our own bugs only: a peer's bytes or a script must never be able to reach one. On in release. */
#define sq_assert(cond) \
    (SQ_LIKELY(cond) ? (void)0 : sq_panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #cond))
#ifdef SQ_DEBUG
#define sq_dassert(cond) sq_assert(cond)
#else
#define sq_dassert(cond) ((void)sizeof(cond))
#endif

/* Prints to standard error and aborts. Any thread. */
SQ_NORETURN void sq_panic(const char *fmt, ...) SQ_PRINTF(1, 2);

/* Never NULL: memory at sizes we chose; out of memory ends the process with a message.
 * Owned: release with free(). */
void *sq_xmalloc(size_t bytes) __attribute__((malloc));
void *sq_xcalloc(size_t count, size_t bytes) __attribute__((malloc));
void *sq_xrealloc(void *old, size_t bytes) SQ_MUST_USE;
char *sq_xstrdup(const char *text) __attribute__((malloc));
char *sq_xstrndup(const char *text, size_t len) __attribute__((malloc));
char *sq_xasprintf(const char *fmt, ...) SQ_PRINTF(1, 2);

/* Memory at sizes that a peer or a script chose: NULL when there is none. */
void *sq_try_alloc(size_t bytes) __attribute__((malloc));
void *sq_try_realloc(void *old, size_t bytes) SQ_MUST_USE;
