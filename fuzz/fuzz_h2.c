/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/2 connection under a WebSocket: whatever a server sends, in whatever pieces, the calls
 * of an open connection end, in bounded time, with a status and words for it. Stands on a loop and
 * a lower stream of its own, in memory. Input: options, the size of pieces, then the server's
 * bytes. */
#include <errno.h>

#include "base/error.h"
#include "fuzz.h"
#include "net/h2.h"
#include "net/stream_private.h"

enum {
    GOOD_SETTINGS = 1, /* come first */
    GOOD_RESPONSE = 2, /* comes next */
    RESET = 4,         /* how the server's bytes end */
    STALLS = 8,        /* the server's side takes nothing in every other turn */
    WRITES = 16,
    SHUTS = 32, /* END_STREAM behind what was written */
    TURNS_MAX = 100000,
    MESSAGE_BYTES = 3000,
};

struct lower { /* the server's bytes, and whether it takes ours */
    struct sq_slice in;
    size_t step;
    bool readable, reset, stalls;
    unsigned turn;
    struct sq_stream stream; /* has room for more behind it */
};

struct sq_loop {
    struct sq_list deferred;
    struct sq_io *io;
    uint8_t buffer[SQ_LOOP_READ_BYTES];
};

/* ---- the lower stream ---- */

static struct lower *lower_of(const struct sq_stream *s)
{
    return SQ_CONTAINER_OF((struct sq_stream *)s, struct lower, stream);
}

ssize_t sq_stream_read(struct sq_stream *stream, void *data, size_t len)
{
    struct lower *s = lower_of(stream);
    size_t take = SQ_MIN(SQ_MIN(s->step, s->in.len), len);

    if (!s->readable)
        return 0;
    s->readable = false;
    if (take == 0)
        return s->reset ? -ECONNRESET : SQ_EEOF;
    memcpy(data, s->in.data, take);
    s->in = sq_slice(s->in.data + take, s->in.len - take);
    return (ssize_t)take;
}

ssize_t sq_stream_write(struct sq_stream *stream, const void *data, size_t len)
{
    const struct lower *s = lower_of(stream);

    (void)data;
    return s->stalls && s->turn % 2 ? 0 : (ssize_t)SQ_MIN(len, (size_t)1000);
}

bool sq_stream_pending(const struct sq_stream *s)
{
    return lower_of(s)->readable;
}

unsigned sq_stream_read_wants(const struct sq_stream *s)
{
    (void)s;
    return SQ_IO_READ;
}

unsigned sq_stream_write_wants(const struct sq_stream *s)
{
    (void)s;
    return SQ_IO_WRITE;
}

int sq_stream_fd(const struct sq_stream *s)
{
    (void)s;
    return 1;
}

const char *sq_stream_error_text(const struct sq_stream *s)
{
    (void)s;
    return "the connection is gone";
}

char *sq_stream_text(const struct sq_stream *s, const char *verb, const char *what)
{
    (void)s;
    return sq_xasprintf("%s: %s", verb, what);
}

/* ---- the loop ---- */

int sq_io_start(struct sq_loop *loop, struct sq_io *io, int fd, unsigned events)
{
    io->fd = fd;
    io->events = events;
    loop->io = io;
    return 0;
}

void sq_io_update(struct sq_loop *loop, struct sq_io *io, unsigned events)
{
    FUZZ_CHECK(loop->io == io);
    io->events = events;
}

void sq_io_stop(struct sq_loop *loop, struct sq_io *io)
{
    FUZZ_CHECK(loop->io == io);
    loop->io = NULL;
    io->fd = -1;
}

void sq_loop_defer(struct sq_loop *loop, struct sq_deferred *deferred)
{
    sq_list_remove(&deferred->node);
    sq_list_append(&loop->deferred, &deferred->node);
}

uint8_t *sq_loop_read_buffer(struct sq_loop *loop)
{
    return loop->buffer;
}

/* ---- the user ---- */

struct user {
    struct sq_io io;
    struct sq_h2 *h2;
    struct sq_buf response;
    unsigned options;
    bool requested, answered;
    int status; /* how it ended; 0: not yet */
    size_t read_bytes, unsent;
};

static void end(struct user *u, int status)
{
    FUZZ_CHECK(status < 0);
    FUZZ_CHECK(status == SQ_EEOF || *sq_h2_error_text(u->h2));
    u->status = status;
    sq_h2_unwatch(u->h2);
}

static int shake(struct user *u)
{
    static const char request[] = ":method: CONNECT\r\n:protocol: websocket\r\n:scheme: https\r\n"
                                  ":path: /\r\n:authority: example.com\r\n"
                                  "sec-websocket-version: 13\r\n";
    struct sq_http1_head head;
    int rc = u->requested ? 1 : sq_h2_request(u->h2, sq_slice_str(request));

    u->requested |= rc > 0;
    if (rc > 0)
        rc = sq_h2_response(u->h2, &u->response, &head);
    if (rc > 0) {
        u->answered = true;
        FUZZ_CHECK(head.status >= 100 && head.status <= 999);
        FUZZ_CHECK(head.fields_count <= SQ_HTTP1_FIELDS_MAX);
    }
    return rc;
}

static ssize_t read_some(struct user *u)
{
    uint8_t data[500];
    ssize_t got = sq_h2_read(u->h2, data, sizeof data);

    if (got > 0)
        u->read_bytes += (size_t)got;
    return got;
}

static ssize_t write_some(struct user *u)
{
    static const uint8_t message[MESSAGE_BYTES];

    if (!(u->options & WRITES))
        return 0;
    if (u->unsent == 0)
        u->unsent = sizeof message;
    ssize_t put = sq_h2_write(u->h2, message, u->unsent);
    FUZZ_CHECK(put <= (ssize_t)u->unsent);
    if (put > 0)
        u->unsent -= (size_t)put;
    return put;
}

static void user_ready(struct sq_io *io, unsigned events)
{
    struct user *u = SQ_CONTAINER_OF(io, struct user, io);
    ssize_t rc = u->answered ? 1 : shake(u);

    if (rc > 0 && events & SQ_IO_READ)
        rc = read_some(u);
    if (rc >= 0 && u->answered && events & SQ_IO_WRITE) {
        rc = write_some(u);
        /* A stream that takes no more may still be read. */
        if (rc < 0)
            sq_h2_watch(u->h2, &u->io, SQ_IO_READ);
        else if (u->options & SHUTS && u->unsent == 0)
            sq_h2_shutdown_write(u->h2);
        rc = 0;
    }
    if (rc < 0)
        end(u, (int)rc);
    else
        sq_h2_watch(u->h2, &u->io,
                    SQ_IO_READ | (u->requested && !(u->options & WRITES) ? 0 : SQ_IO_WRITE));
}

static void run_turn(struct sq_loop *loop, struct lower *lower)
{
    struct sq_list *node;

    lower->turn++;
    lower->readable = true;
    if (loop->io)
        loop->io->ready(loop->io, loop->io->events);
    for (int round = 0; round < 64 && (node = sq_list_shift(&loop->deferred)); round++) {
        sq_list_init(node);
        struct sq_deferred *deferred = SQ_CONTAINER_OF(node, struct sq_deferred, node);
        deferred->run(deferred);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char settings[] = "\0\0\6\4\0\0\0\0\0\0\x08\0\0\0\1";
    static const char response[] = "\0\0\1\1\4\0\0\0\1\x88";
    static struct sq_loop loop;
    struct sq_buf in = {0};

    if (size < 2)
        return 0;
    struct user u = {.options = data[0], .io = {.ready = user_ready, .fd = -1}};
    if (u.options & GOOD_SETTINGS)
        sq_buf_put(&in, settings, sizeof settings - 1);
    struct lower lower = {.step = data[1] % 64 ? (size_t)data[1] * data[1] : sizeof settings - 1,
                          .reset = u.options & RESET,
                          .stalls = u.options & STALLS};
    if (u.options & GOOD_RESPONSE)
        sq_buf_put(&in, response, sizeof response - 1);
    sq_buf_put(&in, data + 2, size - 2);
    lower.in = sq_buf_slice(&in);
    sq_list_init(&loop.deferred);
    loop.io = NULL;
    u.h2 = sq_h2_new(&loop, &lower.stream);
    sq_h2_watch(u.h2, &u.io, SQ_IO_READ | SQ_IO_WRITE);
    for (unsigned turns = 0; u.status == 0; turns++) {
        FUZZ_CHECK(turns < TURNS_MAX);
        run_turn(&loop, &lower);
    }
    FUZZ_CHECK(u.read_bytes <= in.len);
    sq_h2_free(u.h2, u.options & RESET);
    FUZZ_CHECK(!loop.io);
    sq_buf_deinit(&u.response);
    sq_buf_deinit(&in);
    return 0;
}
