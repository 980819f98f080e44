/* SPDX-License-Identifier: Apache-2.0 */
/* Closing, sending, pauses, and users that leave inside a callback. */
#include "net/ws_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/ws_conn_kit.h"
#include "proto/ws/handshake.h"

/* ---- closing ---- */

static void close_at_open(struct user *u, char event)
{
    if (event != 'o')
        return;
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("why")), 0);
    SQ_CHECK(sq_ws_conn_close_sent(u->conn));
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1001, sq_slice_str("")), -EPIPE);
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("x")), -EPIPE);
    SQ_CHECK_EQ(sq_ws_conn_ping(u->conn, sq_slice_str("x")), -EPIPE);
    SQ_CHECK_STR(sq_ws_conn_error_text(u->conn, -EPIPE), "websocket: close sent");
}

static void play_P51(struct script *s, int fd)
{
    talk_gather(s, fd);
    for (int i = 0; i < 5; i++)
        peer_write(fd, "\x81\x01x\x89\x00", 5);
    peer_write(fd, BYE, 4);
    talk_wait_for_end(fd);
}

SQ_TEST(ws_conn_P51_data_after_our_close_is_dropped)
{
    struct script s = {.play = play_P51};
    struct user u;
    char frames[1024];

    talk_user_init(&u);
    u.hook = close_at_open;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open ping() ping() ping() ping() ping() " CLEAN);
    talk_frames(&s, frames, sizeof frames);
    SQ_CHECK_STR(frames, "close:03e8 "); /* CT-1: no Pong */
    /* CL-8: the server did not close, so the client did, a second later. */
    SQ_CHECK(s.gone_ns - u.end_ns >= 900 * SQ_NS_PER_MS);
    talk_done(&s);
}

SQ_TEST(ws_conn_P52_fin_without_close)
{
    struct script s = {.wire_len = 0};
    struct user u;

    talk_user_init(&u);
    u.hook = close_at_open;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open eof(1006,)");
    talk_done(&s);
}

static void play_ignore_close(struct script *s, int fd)
{
    talk_gather(s, fd);
    talk_wait_for_end(fd);
    s->answered_ns = sq_now_ns();
}

static void play_drip(struct script *s, int fd)
{
    (void)s;
    for (int i = 0; i < 400; i++) {
        if (send(fd, "\x8a\x00", 2, MSG_NOSIGNAL) <= 0)
            break;
        usleep(10000);
    }
}

SQ_TEST(ws_conn_P53_close_timeout)
{
    for (int drip = 0; drip < 2; drip++) {
        struct script s = {.play = drip ? play_drip : play_ignore_close};
        struct user u;

        talk_user_init(&u);
        u.hook = close_at_open;
        u.open.close_timeout_ns = 200 * SQ_NS_PER_MS;
        talk_run(&u, &s);
        SQ_CHECK(strstr(u.log, "timeout(1006,)"), "%s", u.log);
        SQ_CHECK_STR(u.text, "websocket: close timeout");
        SQ_CHECK(u.end_ns - u.start_ns >= 200 * SQ_NS_PER_MS);
        SQ_CHECK(s.gone_ns - u.end_ns < 500 * SQ_NS_PER_MS);
        talk_done(&s);
    }
}

SQ_TEST(ws_conn_P54_server_closes_tcp_first)
{
    for (int ours = 0; ours < 2; ours++) {
        struct script s = {.answer = ours, .fin_delay_ms = 300};
        struct user u;

        talk_user_init(&u);
        u.hook = ours ? close_at_open : NULL;
        if (!ours) {
            s.wire = (const uint8_t *)BYE;
            s.wire_len = 4;
        }
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, "open " CLEAN);
        SQ_CHECK(s.fin_late, "ours %d", ours);
        SQ_CHECK(s.gone_ns - u.end_ns >= 200 * SQ_NS_PER_MS);
        talk_done(&s);
    }
}

static void user_answers(struct user *u, char event)
{
    if (event == 'e')
        SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 4001, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_user_answers_the_close)
{
    for (int answer = 0; answer < 2; answer++) {
        struct script s = {WIRE("\x88\x02\x0f\xa0")};
        struct user u;
        char frames[1024];

        talk_user_init(&u);
        u.handler.answer_close = false;
        u.hook = answer ? user_answers : NULL; /* else release does */
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, "open close(4000,)");
        talk_frames(&s, frames, sizeof frames);
        SQ_CHECK_STR(frames, answer ? "close:0fa1 " : "close:0fa0 ");
        talk_done(&s);
    }
}

static void close_1006(struct user *u, char event)
{
    if (event == 'e')
        SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1006, sq_slice_str("")), 0);
}

static void half_close(struct script *s, int fd)
{
    peer_write(fd, s->wire, s->wire_len);
    shutdown(fd, SHUT_WR);
    talk_gather(s, fd);
}

SQ_TEST(ws_conn_P55_fin_anywhere)
{
    static const char wire[] = "\x81\x02hi\x82\x7e\x00\x80zzzzzz";

    for (size_t cut = 0; cut < sizeof wire; cut++) {
        struct script s = {.wire = (const uint8_t *)wire, .wire_len = cut, .play = half_close};
        struct user u;
        char frames[1024];

        talk_user_init(&u);
        u.handler.answer_close = false; /* k6/ws: WS-82 */
        u.hook = close_1006;
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, cut >= 4 ? "open text(hi) eof(1006,)" : "open eof(1006,)");
        SQ_CHECK_STR(u.text, "websocket: close 1006 (abnormal closure): unexpected EOF");
        talk_frames(&s, frames, sizeof frames);
        SQ_CHECK_STR(frames, "close:03ee ");
        talk_done(&s);
    }
}

static void close_after_reset(struct user *u, char event)
{
    int rc;

    if (event != 'e')
        return;
    rc = sq_ws_conn_close(u->conn, 1001, sq_slice_str(""));
    SQ_CHECK_EQ(rc, -EPIPE);
    SQ_CHECK(strstr(sq_ws_conn_error_text(u->conn, rc), "broken pipe"));
}

SQ_TEST(ws_conn_P56_reset)
{
    struct script s = {WIRE("\x81\x01x"), .reset = true};
    struct user u;

    talk_user_init(&u);
    u.hook = close_after_reset;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(x) read(1006,)");
    SQ_CHECK_EQ(u.end_error, -ECONNRESET);
    SQ_CHECK(strstr(u.text, "read: connection reset by peer"), "%s", u.text);
    talk_done(&s);
}

static void close_after_failure(struct user *u, char event)
{
    if (event != 'e')
        return;
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1001, sq_slice_str("")), -EPIPE);
    SQ_CHECK_STR(sq_ws_conn_error_text(u->conn, -EPIPE), "websocket: close sent");
}

SQ_TEST(ws_conn_after_a_protocol_error_close_is_sent)
{
    struct script s = {WIRE("\x83\x01x")};
    struct user u;

    talk_user_init(&u);
    u.hook = close_after_failure;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open protocol(1002,)");
    SQ_CHECK(strncmp(u.text, "websocket: ", 11) == 0);
    talk_done(&s);
}

static void flood_forever(struct script *s, int fd)
{
    static uint8_t block[65536];
    int64_t end_ns = sq_now_ns() + 5 * SQ_NS_PER_S;

    peer_write(fd, "\x83\x01", 2);
    while (sq_now_ns() < end_ns && send(fd, block, sizeof block, MSG_NOSIGNAL) > 0)
        ;
    s->answered_ns = sq_now_ns();
}

SQ_TEST(ws_conn_failed_connection_is_drained_for_a_second_at_most)
{
    struct script s = {.play = flood_forever};
    struct user u;

    talk_user_init(&u);
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open protocol(1002,)");
    SQ_CHECK(s.gone_ns - u.start_ns < 4 * SQ_NS_PER_S);
    talk_done(&s);
}

/* ---- sending ---- */

static void send_lengths(struct user *u, char event)
{
    static const size_t lengths[] = {0, 125, 126, 65535, 65536, 300000};
    static uint8_t data[300000];
    uint8_t copy[125];

    if (event != 'o')
        return;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    memcpy(copy, data, sizeof copy);
    for (size_t i = 0; i < SQ_COUNT(lengths); i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, lengths[i])), 0);
    SQ_CHECK(memcmp(copy, data, sizeof copy) == 0); /* FW-9 */
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_P57_lengths_of_our_frames)
{
    static const size_t want[] = {0, 125, 126, 65535, 65536, 300000};
    static const size_t heads[] = {6, 6, 8, 8, 14, 14};
    struct script s = {.answer = true};
    struct user u;
    size_t at = 0;

    talk_user_init(&u);
    u.hook = send_lengths;
    talk_run(&u, &s);
    for (size_t i = 0; i < SQ_COUNT(want); i++) {
        uint8_t opcode = 0, first = 0;
        struct sq_slice payload = sq_slice("", 0);
        size_t n = talk_frame_at(&s, at, &opcode, &first, &payload), wrong = 0;

        SQ_CHECK_EQ(first, 0x82);
        SQ_CHECK_EQ(payload.len, want[i]);
        SQ_CHECK_EQ(n, want[i] + heads[i]);
        for (size_t b = 0; b < payload.len; b++)
            wrong += (uint8_t)(payload.data[b] ^ (payload.data - 4)[b % 4]) != (uint8_t)(b * 7);
        SQ_CHECK_EQ(wrong, 0);
        at += n;
    }
    SQ_CHECK_STR(u.log, "open " CLEAN);
    talk_done(&s);
}

static void send_fragments(struct user *u, char event)
{
    static uint8_t data[10000];

    if (event != 'o')
        return;
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice(data, sizeof data)), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_FW4_fragments)
{
    struct script s = {.answer = true};
    struct user u;
    size_t at = 0;

    talk_user_init(&u);
    u.open.fragment_bytes = 1000;
    u.hook = send_fragments;
    talk_run(&u, &s);
    for (int i = 0; i < 10; i++) {
        uint8_t opcode = 0, first = 0;
        struct sq_slice payload = sq_slice("", 0);

        at += talk_frame_at(&s, at, &opcode, &first, &payload);
        SQ_CHECK_EQ(first, i == 0 ? 0x01 : i == 9 ? 0x80 : 0x00);
        SQ_CHECK_EQ(payload.len, 1000);
    }
    talk_done(&s);
}

static void send_many(struct user *u, char event)
{
    if (event != 'o')
        return;
    for (int i = 0; i < 20000; i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("abc")), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

SQ_TEST(ws_conn_P58_masking_keys)
{
    enum { FRAMES = 20000 };
    struct script s = {.answer = true};
    struct user u;
    size_t at = 0, repeats = 0;
    static unsigned counts[4][256];
    uint32_t last = 0;
    int frames = 0;

    talk_user_init(&u);
    u.hook = send_many;
    talk_run(&u, &s);
    memset(counts, 0, sizeof counts);
    for (size_t n;; at += n, frames++) {
        uint8_t opcode = 0, first = 0;
        struct sq_slice payload;
        uint32_t key;

        n = talk_frame_at(&s, at, &opcode, &first, &payload);
        if (!n || opcode != 1)
            break;
        memcpy(&key, payload.data - 4, 4);
        repeats += key == last;
        last = key;
        for (int b = 0; b < 4; b++)
            counts[b][(payload.data - 4)[b]]++;
    }
    SQ_CHECK_EQ(frames, FRAMES);
    SQ_CHECK(repeats < 2);
    for (int b = 0; b < 4; b++) {
        double chi = 0, want = FRAMES / 256.0;

        for (int v = 0; v < 256; v++)
            chi += (counts[b][v] - want) * (counts[b][v] - want) / want;
        SQ_CHECK(chi < 360, "byte %d: chi-square %.1f of 255 degrees", b, chi); /* p < 1e-5 */
    }
    talk_done(&s);
}

static void play_P59(struct script *s, int fd)
{
    static uint8_t buf[1 << 16];
    ssize_t n;

    usleep(300000);
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        s->got_len += (size_t)n;
        if (s->got_len >= 30 * ((1 << 20) + 14) + 8) {
            peer_write(fd, BYE, 4);
            break;
        }
    }
    talk_wait_for_end(fd);
}

static void send_30_mib(struct user *u, char event)
{
    static uint8_t data[1 << 20];
    uint64_t before;

    if (event == 'd') {
        SQ_CHECK(sq_ws_conn_buffered(u->conn) <= SQ_WS_HIGH_WATER / 4);
        u->state++;
    }
    if (event != 'o')
        return;
    for (int i = 0; i < 30; i++) {
        before = sq_ws_conn_buffered(u->conn);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
        if (before > 0)
            SQ_CHECK_EQ(sq_ws_conn_buffered(u->conn), before + sizeof data);
    }
    SQ_CHECK(sq_ws_conn_buffered(u->conn) > 10 << 20);
    SQ_CHECK(sq_ws_conn_buffered(u->conn) <= 30 << 20);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
}

enum { DRAIN_BYTES = 30 << 20 };

static void play_read_all(struct script *s, int fd)
{
    static char buf[1 << 16];
    ssize_t got;

    while (!__atomic_load_n(&s->answered_ns, __ATOMIC_ACQUIRE)) /* until all is queued */
        usleep(1000);
    for (size_t total = 0; total < DRAIN_BYTES; total += (size_t)got) {
        got = recv(fd, buf, sizeof buf, 0);
        if (got <= 0)
            return;
    }
    peer_write(fd, BYE, 4);
    talk_wait_for_end(fd);
}

static void pause_until_drained(struct user *u, char event)
{
    static uint8_t data[DRAIN_BYTES];
    struct script *s = u->arg;

    if (event == 'o') {
        sq_ws_conn_pause(u->conn);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
        __atomic_store_n(&s->answered_ns, 1, __ATOMIC_RELEASE);
    }
    if (event == 'd')
        sq_ws_conn_resume(u->conn);
}

/* Who waits for room while he cannot take what comes in would wait for ever. */
SQ_TEST(ws_conn_drains_during_a_pause)
{
    struct script s = {.play = play_read_all};
    struct user u;

    talk_user_init(&u);
    u.hook = pause_until_drained;
    u.arg = &s;
    talk_run(&u, &s);
    SQ_CHECK(strncmp(u.log, "open drained close(1000,)", 24) == 0, "%s", u.log);
    talk_done(&s);
}

/* The peer neither reads nor leaves until the hook has come so far, however slow it is. */
enum { HOOK_SENT = 1, HOOK_ENDED = 2 };

static void hook_said(struct user *u, int64_t what)
{
    __atomic_store_n(&((struct script *)u->arg)->answered_ns, what, __ATOMIC_RELEASE);
}

static void wait_for_hook(const struct script *s, int64_t what)
{
    for (int i = 0; i < 10000 && __atomic_load_n(&s->answered_ns, __ATOMIC_ACQUIRE) < what; i++)
        usleep(1000);
}

static void play_a_nap(struct script *s, int fd)
{
    (void)fd;
    wait_for_hook(s, HOOK_SENT);
}

static void send_and_abort(struct user *u, char event)
{
    static uint8_t data[30 << 20];

    if (event != 'o')
        return;
    SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
    SQ_CHECK(sq_ws_conn_buffered(u->conn) > 10 << 20);
    SQ_CHECK(sq_ws_conn_buffered(u->conn) < 30 << 20);
    sq_ws_conn_abort(u->conn);
    u->conn = NULL;
    u->over = true;
    hook_said(u, HOOK_SENT);
}

/* A large message that meets an empty queue. */
SQ_TEST(ws_conn_counts_what_the_kernel_left_of_a_message)
{
    struct script s = {.play = play_a_nap};
    struct user u;

    talk_user_init(&u);
    u.hook = send_and_abort;
    u.arg = &s;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open ");
    talk_done(&s);
}

SQ_TEST(ws_conn_P59_slow_reader)
{
    struct script s = {.play = play_P59};
    struct user u;

    talk_user_init(&u);
    u.hook = send_30_mib;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open drained " CLEAN);
    SQ_CHECK_EQ(u.state, 1);
    /* 30 frames of 2^20 + 14 bytes, and a Close of 8 */
    SQ_CHECK_EQ(s.got_len, 30 * ((1 << 20) + 14) + 8);
    talk_done(&s);
}

static void small_then_large(struct user *u, char event)
{
    static uint8_t data[1 << 20];
    uint64_t before;

    if (event == 'e')
        hook_said(u, HOOK_ENDED);
    if (event != 'o')
        return;
    for (int i = 0; i < 30; i++) {
        before = sq_ws_conn_buffered(u->conn);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("x")), 0);
        SQ_CHECK_EQ(sq_ws_conn_buffered(u->conn), before + 1);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
        if (before > 0)
            SQ_CHECK_EQ(sq_ws_conn_buffered(u->conn), before + 1 + sizeof data);
    }
    SQ_CHECK(sq_ws_conn_buffered(u->conn) > 10 << 20);
    SQ_CHECK_EQ(sq_ws_conn_lost(u->conn), 0);
    SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
    hook_said(u, HOOK_SENT);
}

static void play_never_read(struct script *s, int fd)
{
    wait_for_hook(s, HOOK_SENT);
    peer_write(fd, BYE, 4);
    wait_for_hook(s, HOOK_ENDED);
}

SQ_TEST(ws_conn_buffered_adds_up)
{
    struct script s = {.play = play_never_read};
    struct user u;

    talk_user_init(&u);
    u.hook = small_then_large;
    u.arg = &s;
    talk_run(&u, &s);
    talk_done(&s);
}

static void large_once(struct user *u, char event)
{
    static uint8_t data[40 << 20];

    if (event == 'o') {
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("x")), 0);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_TEXT, sq_slice_str("never sent")), 0);
        hook_said(u, HOOK_SENT);
    } else if (event == 'e') {
        uint64_t left = sq_ws_conn_buffered(u->conn) + sq_ws_conn_lost(u->conn);

        SQ_CHECK(left > 10 << 20 && left <= sizeof data + 11, "%llu", (unsigned long long)left);
        SQ_CHECK_EQ(sq_ws_conn_lost(u->conn), 10);
        hook_said(u, HOOK_ENDED);
    }
}

SQ_TEST(ws_conn_lost_counts_what_the_peers_close_kept_from_being_sent)
{
    struct script s = {.play = play_never_read};
    struct user u;

    talk_user_init(&u);
    u.hook = large_once;
    u.arg = &s;
    u.handler.answer_close = true;
    talk_run(&u, &s);
    talk_done(&s);
}

static void fill_and_release(struct user *u, char event)
{
    static uint8_t data[1 << 20];

    if (event != 'o')
        return;
    for (int i = 0; i < 10; i++)
        SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)), 0);
    u->state = sq_ws_conn_close(u->conn, 1000, sq_slice_str(""));
    talk_finish(u);
}

SQ_TEST(ws_conn_released_before_a_peer_that_never_reads)
{
    struct script s = {.stop_reading = true};
    struct user u;

    talk_user_init(&u);
    u.hook = fill_and_release;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open ");
    SQ_CHECK(s.gone_ns - u.end_ns < 4 * SQ_NS_PER_S);
    talk_done(&s);
}

static void count_all(struct script *s, int fd)
{
    static uint8_t buf[1 << 16];
    ssize_t n;

    usleep(100000);
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        s->got_len += (size_t)n;
}

SQ_TEST(ws_conn_queued_bytes_leave_after_release)
{
    struct script s = {.play = count_all};
    struct user u;

    talk_user_init(&u);
    u.hook = fill_and_release;
    talk_run(&u, &s);
    SQ_CHECK_EQ(s.got_len, 10 * ((1 << 20) + 14) + 8);
    talk_done(&s);
}

static void fill_then_close_comes(struct script *s, int fd)
{
    static uint8_t buf[1 << 16];
    ssize_t n;

    peer_write(fd, "\x81\x01g", 3);
    usleep(200000);
    peer_write(fd, BYE, 4);
    usleep(200000);
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
        s->got_len += (size_t)n;
        memcpy(s->got, buf + n - SQ_MIN(n, 8), (size_t)SQ_MIN(n, 8));
    }
}

static void send_ten(struct user *u, char event)
{
    static uint8_t data[1 << 20];

    if (event == 'm')
        for (int i = 0; i < 10; i++)
            SQ_CHECK_EQ(sq_ws_conn_send(u->conn, SQ_WS_KIND_BINARY, sq_slice(data, sizeof data)),
                        0);
}

SQ_TEST(ws_conn_CL5_only_the_frame_in_flight_is_finished)
{
    struct script s = {.play = fill_then_close_comes};
    struct user u;

    talk_user_init(&u);
    u.hook = send_ten;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(g) " CLEAN);
    SQ_CHECK(s.got_len < 10 << 20, "%zu bytes", s.got_len);
    SQ_CHECK_EQ((s.got_len - 8) % ((1 << 20) + 14), 0); /* whole frames, then the Close */
    SQ_CHECK_EQ(s.got[0], 0x88);
    talk_done(&s);
}

/* ---- the user does things inside every callback ---- */

static void leave_at(struct user *u, char event)
{
    struct sq_ws_conn *conn = u->conn;

    if (event != *(const char *)u->arg || !conn)
        return;
    u->conn = NULL;
    u->over = true;
    if (u->state)
        sq_ws_conn_abort(conn);
    else
        sq_ws_conn_release(conn);
    u->log_len = 0;
    u->log[0] = 0;
}

SQ_TEST(ws_conn_release_and_abort_inside_every_callback)
{
    static const char wire[] = "\x01\x01x\x80\x01y\x89\x01p\x8a\x01q\x81\x01z" BYE "\x81\x01n";
    static const char bad[] = "\x81\x01x\x83\x00";

    for (const char *event = "omiqet"; *event; event++)
        for (int abort_it = 0; abort_it < 2; abort_it++)
            for (unsigned cut = 0; cut < 3; cut++) {
                struct script s = {.wire = (const uint8_t *)(cut == 2 ? bad : wire),
                                   .wire_len = (cut == 2 ? sizeof bad : sizeof wire) - 1,
                                   .cut_bytes = cut == 1 ? 1 : 0};
                struct user u;

                talk_user_init(&u);
                u.handler.answer_close = cut == 1;
                u.hook = leave_at;
                u.state = abort_it;
                u.arg = (void *)event;
                talk_run(&u, &s);
                if (cut != 2)
                    SQ_CHECK_STR(u.log, "");
                talk_done(&s);
            }
}

static void leave_failed(struct user *u, char event)
{
    if (event == 'f')
        talk_release(u);
}

SQ_TEST(ws_conn_release_inside_a_failed_handshake)
{
    struct script s = {.head = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"};
    struct user u;

    talk_user_init(&u);
    u.hook = leave_failed;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "failed ");
    talk_done(&s);
}

static void say_nothing(struct script *s, int fd)
{
    (void)s;
    talk_wait_for_end(fd);
}

SQ_TEST(ws_conn_release_right_after_open)
{
    for (int bad_url = 0; bad_url < 2; bad_url++) {
        struct script s = {.head = "", .play = say_nothing};
        struct user u;

        talk_user_init(&u);
        if (bad_url)
            u.open.url = sq_slice_str("nonsense");
        u.hook = leave_at;
        u.arg = "t";
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, "");
        talk_done(&s);
    }
}

static void play_pause_close(struct script *s, int fd)
{
    peer_write(fd,
               "\x81\x01"
               "1\x81\x01"
               "2\x81\x01"
               "3" BYE,
               13);
    talk_gather(s, fd);
}

static void pause_first_resume_later(struct user *u, char event)
{
    if (event == 'm' && u->messages == 1) {
        sq_ws_conn_pause(u->conn);
        sq_ws_conn_resume(u->conn);
        sq_ws_conn_pause(u->conn);
    }
    if (event == 't' && u->ticks == 50) {
        SQ_CHECK_STR(u->log, "open text(1) ");
        sq_ws_conn_resume(u->conn);
        SQ_CHECK_STR(u->log, "open text(1) ");
    }
}

SQ_TEST(ws_conn_stash_is_parsed_after_resume)
{
    struct script s = {.play = play_pause_close};
    struct user u;

    talk_user_init(&u);
    u.hook = pause_first_resume_later;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(1) text(2) text(3) " CLEAN);
    talk_done(&s);
}

static void pause_then_close(struct user *u, char event)
{
    if (event == 'm') {
        SQ_CHECK_EQ(u->messages, 1);
        sq_ws_conn_pause(u->conn);
    }
    if (event == 't' && u->ticks == 20)
        SQ_CHECK_EQ(sq_ws_conn_close(u->conn, 1000, sq_slice_str("")), 0);
    if (event == 't' && u->ticks == 60) {
        SQ_CHECK_STR(u->log, "open text(1) "); /* the end waits too */
        sq_ws_conn_resume(u->conn);
    }
}

SQ_TEST(ws_conn_close_while_paused)
{
    struct script s = {.play = play_pause_close};
    struct user u;

    talk_user_init(&u);
    u.hook = pause_then_close;
    talk_run(&u, &s);
    SQ_CHECK_STR(u.log, "open text(1) " CLEAN);
    talk_done(&s);
}

static void pause_over_reset(struct user *u, char event)
{
    if (event == 'o')
        sq_ws_conn_pause(u->conn);
    if (event == 't' && u->ticks == 100)
        sq_ws_conn_resume(u->conn);
}

SQ_TEST(ws_conn_reset_while_paused_is_seen_after_resume)
{
    struct script s = {WIRE("\x81\x01x"), .reset = true};
    struct user u;

    talk_user_init(&u);
    u.hook = pause_over_reset;
    talk_run(&u, &s);
    SQ_CHECK(strstr(u.log, "read(1006,)"), "%s", u.log);
    SQ_CHECK(u.ticks >= 100);
    talk_done(&s);
}

SQ_TEST(ws_conn_given_up_before_the_loop_ran)
{
    for (int abort_it = 0; abort_it < 2; abort_it++) {
        struct script s = {.head = "", .play = say_nothing};
        struct user u;

        talk_user_init(&u);
        u.give_up = abort_it ? sq_ws_conn_abort : sq_ws_conn_release;
        talk_run(&u, &s);
        SQ_CHECK_STR(u.log, "");
        talk_done(&s);
    }
}

/* ---- many connections in one turn ---- */

enum { CROWD = 150 };

struct crowd {
    struct peer peer;
    struct kit kit;
    struct sq_ws_conn *conns[CROWD];
    struct sq_timer timer;
    int opened, ended, clean;
    int right; /* connections whose three messages arrived; after the peer has stopped */
    size_t chunks_max;
};

struct member {
    struct crowd *crowd;
    int number;
};

static bool crowd_frames(int fd)
{
    uint8_t frame[106];
    bool right = true;

    for (int i = 0; i < 3; i++) {
        right = right && peer_read(fd, frame, sizeof frame) && frame[0] == 0x82 &&
                frame[1] == (0x80 | 100);
        for (int b = 0; right && b < 100; b++)
            right = (frame[6 + b] ^ frame[2 + b % 4]) == i;
    }
    return right;
}

/* The first connection's turn serves them all. */
static void serve_crowd(struct peer *peer, int first)
{
    struct crowd *crowd = SQ_CONTAINER_OF(peer, struct crowd, peer);
    int fds[CROWD];

    for (int i = 0; i < CROWD; i++) {
        char head[2048], accept[SQ_WS_ACCEPT_LEN + 1], answer[300];

        fds[i] = i ? accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC) : first;
        if (fds[i] < 0 || !peer_read_head(fds[i], head, sizeof head))
            return;
        sq_ws_accept_key(sq_slice(strstr(head, "Sec-WebSocket-Key: ") + 19, SQ_WS_KEY_LEN), accept);
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n\r\n",
                 accept);
        peer_write(fds[i], answer, strlen(answer));
    }
    for (int i = CROWD - 1; i >= 0; i--) {
        uint8_t close_frame[8];

        crowd->right += crowd_frames(fds[i]);
        peer_write(fds[i], BYE, 4);
        peer_read(fds[i], close_frame, sizeof close_frame);
        if (i)
            close(fds[i]);
    }
}

static void crowd_send(struct sq_timer *timer)
{
    struct crowd *crowd = SQ_CONTAINER_OF(timer, struct crowd, timer);
    uint8_t data[100];

    for (int m = 0; m < 3; m++)
        for (int i = 0; i < CROWD; i++) {
            memset(data, m, sizeof data);
            SQ_CHECK_EQ(sq_ws_conn_send(crowd->conns[i], SQ_WS_KIND_BINARY, sq_slice(data, 100)),
                        0);
            crowd->chunks_max = SQ_MAX(crowd->chunks_max, sq_loop_chunks_lent(crowd->kit.loop));
        }
}

static void crowd_handshake(void *user, const struct sq_ws_handshake *result)
{
    struct crowd *crowd = ((struct member *)user)->crowd;

    SQ_CHECK(result->opened, "%.100s", result->error_text);
    if (++crowd->opened == CROWD)
        sq_timer_start(crowd->kit.loop, &crowd->timer, 0);
}

static void crowd_end(void *user, const struct sq_ws_end *end)
{
    struct member *member = user;
    struct crowd *crowd = member->crowd;

    crowd->clean += end->clean;
    sq_ws_conn_release(crowd->conns[member->number]);
    if (++crowd->ended == CROWD)
        sq_loop_stop(crowd->kit.loop);
}

SQ_TEST(ws_conn_crowd_shares_few_chunks)
{
    static const struct sq_ws_handler handler = {
        .handshake = crowd_handshake, .end = crowd_end, .answer_close = true};
    static struct member members[CROWD];
    struct crowd crowd = {.peer.serve = serve_crowd, .timer = SQ_TIMER_INIT(crowd_send)};
    char url[64];

    peer_start(&crowd.peer);
    kit_init(&crowd.kit);
    if (!kit_open(&crowd.kit))
        abort();
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/", crowd.peer.port);
    for (int i = 0; i < CROWD; i++) {
        struct sq_ws_open open = {.url = sq_slice_str(url)};

        members[i] = (struct member){&crowd, i};
        crowd.conns[i] = sq_ws_conn_open(crowd.kit.net, &open, &handler, &members[i]);
    }
    sq_loop_run(crowd.kit.loop);
    SQ_CHECK_EQ(crowd.clean, CROWD);
    SQ_CHECK(crowd.chunks_max <= SQ_WS_GATHER_MAX, "%zu chunks", crowd.chunks_max);
    SQ_CHECK_EQ(sq_loop_chunks_lent(crowd.kit.loop), 0);
    kit_close(&crowd.kit); /* cuts those that wait for a FIN */
    peer_stop(&crowd.peer);
    SQ_CHECK_EQ(crowd.right, CROWD);
}
