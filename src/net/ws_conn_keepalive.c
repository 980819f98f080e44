/* SPDX-License-Identifier: Apache-2.0 */
/* Pings of the connection's own, and the time within which a Pong must come (CT-6). A peer that
 * answers nothing has gone, whatever TCP still believes.
 *
 * Only pongs that could be read count against it: while a pause keeps us from reading, the wait is
 * started anew. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/ws_conn_private.h"
#include "proto/ws/close.h"

/* Scripts' pings carry a number; theirs and ours must not be mistaken for each other. */
static const char prefix[] = "squall-keepalive-";

struct sq_ws_keepalive {
    struct sq_ws_conn *conn;
    int64_t interval_ns, timeout_ns; /* 0: none */
    struct sq_timer ping_timer, pong_timer;
    uint64_t pings;
    bool waiting;     /* for a Pong */
    bool last_chance; /* it is late, but may lie unread: the thread was busy */
};

static void wait_for_pong(struct sq_ws_keepalive *k)
{
    k->waiting = true;
    k->last_chance = false;
    sq_timer_start(k->conn->loop, &k->pong_timer, sq_now_ns() + k->timeout_ns);
}

static void ping_again(struct sq_ws_keepalive *k)
{
    sq_timer_start(k->conn->loop, &k->ping_timer, sq_now_ns() + k->interval_ns);
}

static void ping_due(struct sq_timer *timer)
{
    struct sq_ws_keepalive *k = SQ_CONTAINER_OF(timer, struct sq_ws_keepalive, ping_timer);
    struct sq_ws_conn *conn = k->conn;
    char payload[sizeof prefix + 20];
    int len;

    if (conn->close_sent || sq_ws_conn_deaf(conn) || conn->write_error)
        return;
    ping_again(k);
    /* Behind what the peer does not take, a Ping would only add to the queue. */
    if (conn->out_blocked && k->waiting)
        return;
    len = snprintf(payload, sizeof payload, "%s%llu", prefix, (unsigned long long)k->pings++);
    /* A failed write is told by the next read. */
    (void)!sq_ws_conn_ping(conn, sq_slice(payload, (size_t)len));
}

static void pong_due(struct sq_timer *timer)
{
    struct sq_ws_keepalive *k = SQ_CONTAINER_OF(timer, struct sq_ws_keepalive, pong_timer);
    struct sq_ws_conn *conn = k->conn;
    struct sq_ws_end end = {
        .kind = SQ_WS_END_TIMEOUT, .code = SQ_WS_CLOSE_ABNORMAL, .error = -ETIMEDOUT};
    char text[80];

    /* closeTimeout bounds what comes after a Close. */
    if (conn->close_sent || sq_ws_conn_deaf(conn))
        return;
    if (sq_ws_conn_holding(conn)) {
        wait_for_pong(k);
        return;
    }
    if (!k->last_chance) {
        k->last_chance = true;
        sq_timer_start(conn->loop, timer, sq_now_ns()); /* when the loop has read */
        return;
    }
    snprintf(text, sizeof text, "websocket: pong timeout: no Pong within %.15g ms",
             (double)k->timeout_ns / SQ_NS_PER_MS);
    end.text = text;
    sq_ws_conn_enter(conn);
    sq_ws_conn_drop(conn, !sq_ws_output_empty(conn)); /* frees k */
    sq_ws_conn_end(conn, &end);
    sq_ws_conn_leave(conn);
}

void sq_ws_keepalive_new(struct sq_ws_conn *conn, int64_t interval_ns, int64_t timeout_ns)
{
    struct sq_ws_keepalive *k = conn->keepalive = sq_xcalloc(1, sizeof *k);

    k->conn = conn;
    k->interval_ns = interval_ns;
    k->timeout_ns = timeout_ns;
    k->ping_timer = SQ_TIMER_INIT(ping_due);
    k->pong_timer = SQ_TIMER_INIT(pong_due);
}

void sq_ws_keepalive_free(struct sq_ws_conn *conn)
{
    struct sq_ws_keepalive *k = conn->keepalive;

    if (!k)
        return;
    sq_timer_stop(conn->loop, &k->ping_timer);
    sq_timer_stop(conn->loop, &k->pong_timer);
    free(k);
    conn->keepalive = NULL;
}

void sq_ws_keepalive_start(struct sq_ws_conn *conn)
{
    if (conn->keepalive->interval_ns)
        ping_again(conn->keepalive);
}

void sq_ws_keepalive_pinged(struct sq_ws_conn *conn)
{
    struct sq_ws_keepalive *k = conn->keepalive;

    if (k->timeout_ns && !k->waiting)
        wait_for_pong(k);
}

void sq_ws_keepalive_resumed(struct sq_ws_conn *conn)
{
    if (conn->keepalive->waiting)
        wait_for_pong(conn->keepalive);
}

bool sq_ws_keepalive_ponged(struct sq_ws_conn *conn, struct sq_slice payload)
{
    struct sq_ws_keepalive *k = conn->keepalive;
    size_t len = sizeof prefix - 1;

    if (k->waiting) {
        k->waiting = false;
        sq_timer_stop(conn->loop, &k->pong_timer);
    }
    return k->pings > 0 && payload.len > len && memcmp(payload.data, prefix, len) == 0;
}
