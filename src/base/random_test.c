/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

/* RFC 8439 2.3.2. */
SQ_TEST(random_chacha20_rfc8439_block)
{
    static const uint32_t want[16] = {
        0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
        0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
        0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
    };
    static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
    uint32_t key[8], out[16];

    for (uint32_t i = 0; i < 8; i++)
        key[i] = (4 * i) | (4 * i + 1) << 8 | (4 * i + 2) << 16 | (4 * i + 3) << 24;
    sq_chacha20_block(out, key, 1, nonce);
    for (int i = 0; i < 16; i++)
        SQ_CHECK_EQ(out[i], want[i], "word %d", i);
}

/* RFC 8439 A.1, test vector 1: all zero. */
SQ_TEST(random_chacha20_rfc8439_zero_key)
{
    static const uint32_t key[8], nonce[3];
    static const uint32_t want[4] = {0xade0b876, 0x903df1a0, 0xe56a5d40, 0x28bd8653};
    uint32_t out[16];

    sq_chacha20_block(out, key, 0, nonce);
    for (int i = 0; i < 4; i++)
        SQ_CHECK_EQ(out[i], want[i], "word %d", i);
}

SQ_TEST(random_chacha20_four_lanes_equal_four_blocks)
{
    static const uint32_t key[8] = {1, 2, 3, 4, 5, 6, 7, 0xffffffff};
    static const uint32_t nonce[3] = {9, 8, 7};
    uint32_t four[64], one[16];

    sq_chacha20_blocks4(four, key, 41, nonce);
    for (uint32_t block = 0; block < 4; block++) {
        sq_chacha20_block(one, key, 41 + block, nonce);
        SQ_CHECK(memcmp(one, four + 16 * block, 64) == 0, "block %u", block);
    }
}

/* FW-2: each byte of 2^18 words is spread evenly, and hardly a word comes twice. */
SQ_TEST(random_words_look_uniform)
{
    enum { N = 1 << 18 };
    uint32_t count[4][256] = {0};

    for (int i = 0; i < N; i++) {
        uint32_t r = sq_random_u32();
        for (int b = 0; b < 4; b++)
            count[b][r >> 8 * b & 255]++;
    }
    for (int b = 0; b < 4; b++) {
        double chi = 0, want = N / 256.0;
        for (int v = 0; v < 256; v++)
            chi += (count[b][v] - want) * (count[b][v] - want) / want;
        SQ_CHECK(chi > 130 && chi < 420, "byte %d, chi-square %f", b, chi);
    }
}

SQ_TEST(random_below_covers_its_range_evenly)
{
    enum { BOUND = 6, N = 60000 };
    int count[BOUND] = {0};

    for (int i = 0; i < N; i++) {
        uint32_t r = sq_random_below(BOUND);
        SQ_CHECK(r < BOUND, "got %u", r);
        count[r % BOUND]++;
    }
    for (int i = 0; i < BOUND; i++)
        SQ_CHECK(abs(count[i] - N / BOUND) < 700, "%d: %d", i, count[i]);
    SQ_CHECK_EQ(sq_random_below(0), 0);
    SQ_CHECK_EQ(sq_random_below(1), 0);
}

/* Lengths that cross refills, and every byte written. */
SQ_TEST(random_bytes_any_length)
{
    static uint8_t buf[10001];

    for (size_t len = 0; len <= 10000; len = len * 3 + 1) {
        bool seen_change = len < 16;
        memset(buf, 0, sizeof buf);
        sq_random_bytes(buf, len);
        for (size_t i = 1; i < len; i++)
            seen_change |= buf[i] != buf[0];
        SQ_CHECK(seen_change, "%zu bytes are all alike", len);
        SQ_CHECK_EQ(buf[len], 0, "written behind %zu bytes", len);
    }
}

static void *draw(void *out)
{
    sq_random_bytes(out, 32);
    return NULL;
}

SQ_TEST(random_threads_differ)
{
    uint8_t a[32], b[32];
    pthread_t thread;

    SQ_CHECK_EQ(pthread_create(&thread, NULL, draw, a), 0);
    pthread_join(thread, NULL);
    SQ_CHECK_EQ(pthread_create(&thread, NULL, draw, b), 0);
    pthread_join(thread, NULL);
    SQ_CHECK(memcmp(a, b, 32) != 0);
}

SQ_TEST(random_fork_differs)
{
    uint8_t here[32], there[32];
    int fds[2];

    (void)sq_random_u32(); /* bytes wait in the pool */
    SQ_CHECK_EQ(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        sq_random_bytes(there, 32);
        _exit(write(fds[1], there, 32) == 32 ? 0 : 1);
    }
    sq_random_bytes(here, 32);
    SQ_CHECK_EQ(read(fds[0], there, 32), 32);
    waitpid(pid, NULL, 0);
    close(fds[0]);
    close(fds[1]);
    SQ_CHECK(memcmp(here, there, 32) != 0);
}
