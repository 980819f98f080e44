/* SPDX-License-Identifier: Apache-2.0 */
#include "base/writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"

enum { RING = 1024 * 1024 };

struct kit {
    int reader, fd;
    struct sq_writer *writer;
    _Atomic uint64_t lost;
    pthread_t thread;
    size_t got_len;
    uint8_t *got;
};

static void count_lost(void *user, uint64_t lost)
{
    struct kit *kit = user;

    kit->lost += lost;
    sq_writer_put(kit->writer, "lost\n", 5);
}

static void kit_init(struct kit *kit, int64_t patience_ns)
{
    int fds[2];

    *kit = (struct kit){.reader = -1};
    sq_assert(pipe2(fds, O_CLOEXEC) == 0);
    kit->reader = fds[0];
    kit->fd = fds[1];
    kit->writer = sq_writer_new(&(struct sq_writer_options){.fd = fds[1],
                                                            .bytes_max = RING,
                                                            .patience_ns = patience_ns,
                                                            .drained = count_lost,
                                                            .user = kit});
    sq_assert(kit->writer);
}

static void *read_all(void *arg)
{
    struct kit *kit = arg;
    size_t cap = 0;
    ssize_t n;

    do {
        if (kit->got_len == cap)
            kit->got = sq_xrealloc(kit->got, cap = cap ? 2 * cap : 65536);
        n = read(kit->reader, kit->got + kit->got_len, cap - kit->got_len);
        kit->got_len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    return NULL;
}

static void start_reading(struct kit *kit)
{
    sq_assert(pthread_create(&kit->thread, NULL, read_all, kit) == 0);
}

/* The reader sees the end when both the writer's descriptor and ours are closed. */
static void kit_end(struct kit *kit)
{
    sq_writer_free(kit->writer);
    close(kit->fd);
    pthread_join(kit->thread, NULL);
    close(kit->reader);
}

SQ_TEST(writer_keeps_order_and_loses_nothing_while_read)
{
    struct kit kit;
    char text[128];
    size_t at = 0;

    kit_init(&kit, 60 * SQ_NS_PER_S);
    start_reading(&kit);
    /* Ten times the ring: the caller is held back, not refused. */
    for (unsigned i = 0; i < 10 * RING / 100; i++) {
        int len = snprintf(text, sizeof text, "%099u\n", i);
        sq_writer_put(kit.writer, text, (size_t)len);
    }
    SQ_CHECK(sq_writer_flush(kit.writer, 60 * SQ_NS_PER_S));
    kit_end(&kit);
    SQ_CHECK_EQ(kit.got_len, 10 * RING / 100 * 100);
    for (unsigned i = 0; at + 100 <= kit.got_len; i++, at += 100)
        if ((unsigned)strtoul((char *)kit.got + at, NULL, 10) != i) {
            SQ_CHECK(false, "text %u is not in its place", i);
            break;
        }
    SQ_CHECK_EQ(kit.lost, 0);
    free(kit.got);
}

SQ_TEST(writer_drops_for_a_reader_who_stopped_and_says_so)
{
    struct kit kit;
    char text[1000];
    unsigned puts = 4 * RING / sizeof text;
    int64_t start_ns = sq_now_ns();

    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\n';
    kit_init(&kit, 50 * SQ_NS_PER_MS);
    for (unsigned i = 0; i < puts; i++)
        sq_writer_put(kit.writer, text, sizeof text);
    /* One wait, not one for each text. */
    SQ_CHECK(sq_now_ns() - start_ns < 20 * SQ_NS_PER_S);
    SQ_CHECK(!sq_writer_flush(kit.writer, 10 * SQ_NS_PER_MS));
    start_ns = sq_now_ns();
    SQ_CHECK(!sq_writer_flush(kit.writer, 3600 * SQ_NS_PER_S));
    SQ_CHECK(sq_now_ns() - start_ns < 1800 * SQ_NS_PER_S, "a second flush waits again");
    start_reading(&kit);
    while (!kit.lost) /* the thread tells */
        usleep(1000);
    SQ_CHECK(sq_writer_flush(kit.writer, 60 * SQ_NS_PER_S));
    sq_writer_put(kit.writer, "after\n", 6);
    SQ_CHECK(sq_writer_flush(kit.writer, 60 * SQ_NS_PER_S));
    kit_end(&kit);
    SQ_CHECK(kit.lost > puts / 2 && kit.lost < puts, "lost %llu", (unsigned long long)kit.lost);
    SQ_CHECK_EQ(kit.got_len, (puts - kit.lost) * sizeof text + 5 + 6);
    SQ_CHECK(memcmp(kit.got + kit.got_len - 11, "lost\nafter\n", 11) == 0);
    free(kit.got);
}

SQ_TEST(writer_text_larger_than_the_ring)
{
    struct kit kit;
    size_t len = 5 * RING + 3;
    char *text = sq_xmalloc(len);

    memset(text, 'y', len);
    kit_init(&kit, 60 * SQ_NS_PER_S);
    start_reading(&kit);
    sq_writer_put(kit.writer, text, len);
    SQ_CHECK(sq_writer_flush(kit.writer, 60 * SQ_NS_PER_S));
    kit_end(&kit);
    SQ_CHECK_EQ(kit.got_len, len);
    free(kit.got);
    /* Cut when nobody reads: what follows stands on a line of its own. */
    kit_init(&kit, 20 * SQ_NS_PER_MS);
    sq_writer_put(kit.writer, text, len);
    start_reading(&kit);
    while (!kit.lost)
        usleep(1000);
    SQ_CHECK(sq_writer_flush(kit.writer, 60 * SQ_NS_PER_S));
    kit_end(&kit);
    SQ_CHECK(kit.got_len > RING / 2 && kit.got_len < len);
    SQ_CHECK(kit.got_len > 7 && memcmp(kit.got + kit.got_len - 7, "y\nlost\n", 7) == 0);
    free(kit.got);
    free(text);
}

SQ_TEST(writer_without_a_reader)
{
    struct kit kit;

    kit_init(&kit, 60 * SQ_NS_PER_S);
    close(kit.reader);
    for (int i = 0; i < 3 * RING / 1000; i++)
        sq_writer_put(kit.writer, (char[1000]){0}, 1000);
    SQ_CHECK(sq_writer_flush(kit.writer, INT64_MAX));
    sq_writer_free(kit.writer);
    close(kit.fd);
}

SQ_TEST(writer_with_a_descriptor_that_others_made_non_blocking)
{
    struct kit kit;
    char text[1000] = {0};

    kit_init(&kit, 60 * SQ_NS_PER_S);
    sq_assert(fcntl(kit.fd, F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0; i < 500; i++)
        sq_writer_put(kit.writer, text, sizeof text);
    start_reading(&kit);
    SQ_CHECK(sq_writer_flush(kit.writer, 60 * SQ_NS_PER_S));
    kit_end(&kit);
    SQ_CHECK_EQ(kit.got_len, 500 * sizeof text);
    free(kit.got);
}

SQ_TEST(writer_flush_dying_comes_back)
{
    struct kit kit;
    char text[1000] = {0};

    kit_init(&kit, SQ_NS_PER_MS);
    for (int i = 0; i < 200; i++)
        sq_writer_put(kit.writer, text, sizeof text);
    sq_writer_flush_dying(kit.writer); /* nobody reads */
    start_reading(&kit);
    SQ_CHECK(sq_writer_flush(kit.writer, 60 * SQ_NS_PER_S));
    sq_writer_flush_dying(kit.writer);
    kit_end(&kit);
    SQ_CHECK_EQ(kit.got_len, 200 * sizeof text);
    free(kit.got);
}
