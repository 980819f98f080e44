/* SPDX-License-Identifier: Apache-2.0 */
/* Pings of the connection's own, and Pongs that do not come. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/ws_conn.h"
#include "net/ws_conn_kit.h"

/* Answers `answers` pings, then says nothing until the client goes. */
static void play_answers(struct script *s, int fd)
{
    size_t at = 0;
    int answers = 3;

    for (;;) {
        struct sq_slice payload;
        uint8_t opcode, first;
        size_t len;
        ssize_t n;

        if (!s->got)
            s->got = sq_xmalloc(65536);
        n = read(fd, s->got + s->got_len, 65536 - s->got_len);
        if (n <= 0)
            return;
        s->got_len += (size_t)n;
        while ((len = talk_frame_at(s, at, &opcode, &first, &payload))) {
            at += len;
            if (opcode == 9 && answers > 0) {
                uint8_t pong[127] = {0x8a, (uint8_t)payload.len};

                answers--;
                for (size_t i = 0; i < payload.len; i++) /* the key lies in front */
                    pong[2 + i] = payload.data[i] ^ payload.data[(ptrdiff_t)(i % 4) - 4];
                peer_write(fd, pong, 2 + payload.len);
            }
        }
    }
}

SQ_TEST(ws_conn_keepalive_gives_up_a_silent_peer)
{
    struct script s = {.play = play_answers};
    struct user u;

    talk_user_init(&u);
    u.open.ping_interval_ns = 10 * SQ_NS_PER_MS;
    u.open.pong_timeout_ns = 100 * SQ_NS_PER_MS;
    talk_run(&u, &s);
    SQ_CHECK_EQ(u.end_kind, SQ_WS_END_TIMEOUT);
    SQ_CHECK_STR(u.text, "websocket: pong timeout: no Pong within 100 ms");
    SQ_CHECK_EQ(u.pings, 0);
    /* None of its pongs was told. */
    SQ_CHECK(!strstr(u.log, "pong"), "%s", u.log);
    SQ_CHECK(u.end_ns - u.start_ns >= 110 * SQ_NS_PER_MS);
    talk_done(&s);
}

static void finish_later(struct user *u, char event)
{
    if (event == 'o')
        SQ_CHECK_EQ(sq_ws_conn_ping(u->conn, sq_slice_str("own")), 0);
    if (event == 't' && u->conn && ++u->state >= 60 && strstr(u->log, "pong(own)"))
        talk_finish(u);
}

SQ_TEST(ws_conn_keepalive_without_a_timeout_waits_on)
{
    struct script s = {.play = play_answers};
    struct user u;

    talk_user_init(&u);
    u.hook = finish_later;
    u.open.ping_interval_ns = 5 * SQ_NS_PER_MS;
    talk_run(&u, &s);
    SQ_CHECK(strstr(u.log, "pong(own)"), "%s", u.log);
    SQ_CHECK(!strstr(u.log, "keepalive"), "%s", u.log);
    talk_done(&s);
}

static void pause_long(struct user *u, char event)
{
    if (event == 'o')
        sq_ws_conn_pause(u->conn);
    if (event != 't' || !u->conn)
        return;
    u->state++;
    if (u->state == 900)
        sq_ws_conn_resume(u->conn);
    if (u->state == 930)
        talk_finish(u);
}

static void play_always(struct script *s, int fd)
{
    static const uint8_t pong[] = {0x8a, 0};
    uint8_t buf[512];

    (void)s;
    while (read(fd, buf, sizeof buf) > 0)
        peer_write(fd, pong, sizeof pong);
}

SQ_TEST(ws_conn_keepalive_does_not_count_while_paused)
{
    struct script s = {.play = play_always};
    struct user u;

    talk_user_init(&u);
    u.hook = pause_long;
    u.open.ping_interval_ns = 5 * SQ_NS_PER_MS;
    u.open.pong_timeout_ns = 400 * SQ_NS_PER_MS;
    talk_run(&u, &s);
    SQ_CHECK_EQ(u.state, 930, "%s", u.log);
    SQ_CHECK(!strstr(u.log, "timeout"), "%s", u.log);
    talk_done(&s);
}
