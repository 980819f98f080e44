/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

enum {
    POOL_BYTES = 4096,
    KEY_BYTES = 32,
    RESEED_REFILLS = 256, /* a MiB */
    LANES = 4,
};

/* Used bytes are in front of `pos`. The first KEY_BYTES of each refill become the next key and are
 * never handed out, so that a later look at this memory tells nothing about earlier output. */
struct generator {
    uint32_t key[8];
    uint32_t pos;
    uint32_t refills_left; /* 0: ask the kernel first */
    uint8_t pool[POOL_BYTES];
};

static _Thread_local struct generator generator = {.pos = POOL_BYTES};
static pthread_once_t once = PTHREAD_ONCE_INIT;

typedef uint32_t lanes __attribute__((vector_size(4 * LANES)));

#define ROTL(x, n) (((x) << (n)) | ((x) >> (32 - (n))))
#define QUARTER(a, b, c, d) \
    do {                    \
        a += b;             \
        d ^= a;             \
        d = ROTL(d, 16);    \
        c += d;             \
        b ^= c;             \
        b = ROTL(b, 12);    \
        a += b;             \
        d ^= a;             \
        d = ROTL(d, 8);     \
        c += d;             \
        b ^= c;             \
        b = ROTL(b, 7);     \
    } while (0)
#define DOUBLE_ROUND(x)                    \
    do {                                   \
        QUARTER(x[0], x[4], x[8], x[12]);  \
        QUARTER(x[1], x[5], x[9], x[13]);  \
        QUARTER(x[2], x[6], x[10], x[14]); \
        QUARTER(x[3], x[7], x[11], x[15]); \
        QUARTER(x[0], x[5], x[10], x[15]); \
        QUARTER(x[1], x[6], x[11], x[12]); \
        QUARTER(x[2], x[7], x[8], x[13]);  \
        QUARTER(x[3], x[4], x[9], x[14]);  \
    } while (0)

static void initial_state(uint32_t state[16], const uint32_t key[8], uint32_t counter,
                          const uint32_t nonce[3])
{
    static const uint32_t constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memcpy(state, constants, 16);
    memcpy(state + 4, key, 32);
    state[12] = counter;
    memcpy(state + 13, nonce, 12);
}

void sq_chacha20_block(uint32_t out[16], const uint32_t key[8], uint32_t counter,
                       const uint32_t nonce[3])
{
    uint32_t state[16], x[16];

    initial_state(state, key, counter, nonce);
    memcpy(x, state, sizeof x);
    for (int i = 0; i < 10; i++)
        DOUBLE_ROUND(x);
    for (int i = 0; i < 16; i++)
        out[i] = x[i] + state[i];
}

void sq_chacha20_blocks4(uint32_t out[64], const uint32_t key[8], uint32_t counter,
                         const uint32_t nonce[3])
{
    uint32_t state[16];
    lanes start[16], x[16];

    initial_state(state, key, counter, nonce);
    for (int i = 0; i < 16; i++)
        start[i] = (lanes){state[i], state[i], state[i], state[i]};
    start[12] += (lanes){0, 1, 2, 3};
    memcpy(x, start, sizeof x);
    for (int i = 0; i < 10; i++)
        DOUBLE_ROUND(x);
    for (int i = 0; i < 16; i++) {
        x[i] += start[i];
        for (int lane = 0; lane < LANES; lane++)
            out[16 * lane + i] = x[i][lane];
    }
}

/* Only the forking thread lives on in the child, and this runs in it. */
static void forget_in_child(void)
{
    generator.pos = POOL_BYTES;
    generator.refills_left = 0;
}

static void watch_fork(void)
{
    if (pthread_atfork(NULL, NULL, forget_in_child) != 0)
        sq_panic("no memory for a fork handler");
}

static void seed(struct generator *g)
{
    uint32_t fresh[8];
    size_t have = 0;

    pthread_once(&once, watch_fork);
    while (have < sizeof fresh) {
        ssize_t n = getrandom((uint8_t *)fresh + have, sizeof fresh - have, 0);
        if (n < 0 && errno != EINTR)
            sq_panic("getrandom: %s", strerror(errno));
        have += n > 0 ? (size_t)n : 0;
    }
    for (int i = 0; i < 8; i++)
        g->key[i] ^= fresh[i];
    g->refills_left = RESEED_REFILLS;
}

static void refill(struct generator *g)
{
    static const uint32_t nonce[3];
    uint32_t words[16 * LANES];

    if (g->refills_left == 0)
        seed(g);
    g->refills_left--;
    for (uint32_t at = 0; at < POOL_BYTES; at += sizeof words) {
        sq_chacha20_blocks4(words, g->key, at / 64, nonce);
        memcpy(g->pool + at, words, sizeof words);
    }
    memcpy(g->key, g->pool, KEY_BYTES);
    g->pos = KEY_BYTES;
}

void sq_random_bytes(void *out, size_t len)
{
    struct generator *g = &generator;

    for (uint8_t *to = out; len > 0;) {
        if (g->pos == POOL_BYTES)
            refill(g);
        size_t n = SQ_MIN(len, POOL_BYTES - g->pos);
        memcpy(to, g->pool + g->pos, n);
        memset(g->pool + g->pos, 0, n);
        g->pos += (uint32_t)n;
        to += n;
        len -= n;
    }
}

uint32_t sq_random_u32(void)
{
    struct generator *g = &generator;
    uint32_t value;

    if (SQ_UNLIKELY(g->pos > POOL_BYTES - sizeof value))
        refill(g);
    memcpy(&value, g->pool + g->pos, sizeof value);
    g->pos += sizeof value;
    return value;
}

/* Lemire's multiplication method: the low product half below 2^32 mod bound is the biased part. */
uint32_t sq_random_below(uint32_t bound)
{
    uint64_t product;

    if (bound == 0)
        return 0;
    do
        product = (uint64_t)sq_random_u32() * bound;
    while ((uint32_t)product < bound && (uint32_t)product < -bound % bound);
    return (uint32_t)(product >> 32);
}
