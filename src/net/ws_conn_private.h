/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a WebSocket connection: ws_conn.c (life, closing), ws_conn_handshake.c,
 * ws_conn_input.c, ws_conn_output.c, ws_conn_keepalive.c. Not for other layers.
 *
 *   dial -> REQUEST -> RESPONSE -> OPEN -> DEAD
 *
 * An idle connection is this struct alone. Rare state hangs off it and goes when it is not needed:
 * the handshake, a message that is not complete, output that the kernel did not take. */
#pragma once
#include "base/buf.h"
#include "loop/loop.h"
#include "net/dial.h"
#include "net/net.h"
#include "net/stream.h"
#include "net/ws_codec.h"
#include "net/ws_conn.h"
#include "net/ws_trace.h"
#include "proto/ws/deflate.h"
#include "proto/ws/frame.h"
#include "proto/ws/utf8.h"

enum sq_ws_state {
    SQ_WS_DIALLING,
    SQ_WS_REQUEST,  /* the request head is not fully written */
    SQ_WS_RESPONSE, /* waiting for the response head */
    SQ_WS_BODY,     /* a refusal: its body is being gathered */
    SQ_WS_OPEN,     /* frames; closing is told by the flags */
    SQ_WS_DEAD,     /* no stream any more */
};

/* What the deferred run at the end of the turn has to do. */
enum {
    SQ_WS_WORK_FLUSH = 1,
    SQ_WS_WORK_CONTINUE = 2, /* decode what a pause left over, or read again */
    SQ_WS_WORK_REFUSE = 4,   /* report a request that never came to dialling */
};

enum {
    SQ_WS_PONGS_QUEUED_MAX = 16,        /* CT-2 */
    SQ_WS_BACKLOG_COMPACT = 256 * 1024, /* sent bytes in front of a backlog before it moves */
};
#define SQ_WS_FIN_WAIT_NS SQ_NS_PER_S /* CL-8, CL-9 */

/* Output that found the kernel's buffer full. */
struct sq_ws_backlog {
    struct sq_buf buf; /* unsent from `at` on; comes after the chunk */
    size_t at;
    uint8_t pongs;     /* queued since the kernel last took everything */
    bool pong_waiting; /* the newest of those above the cap */
    uint8_t pong_len;
    uint8_t pong[125];
};

/* An end that came while the user had paused. */
struct sq_ws_held_end {
    struct sq_ws_end end;
    char *text;
    uint8_t reason[125];
};

struct sq_ws_hs;        /* ws_conn_handshake.c */
struct sq_ws_keepalive; /* ws_conn_keepalive.c */

struct sq_ws_conn {
    struct sq_ws_codec *codec;
    struct sq_loop *loop;
    struct sq_stream *stream; /* owned; NULL before the dial's end and when DEAD */
    const struct sq_ws_handler *handler;
    void *user;
    struct sq_io io;
    struct sq_timer timer; /* handshake deadline; later the bound of whatever closing step runs */
    struct sq_deferred deferred;
    struct sq_list linger_node; /* in sq_net_linger_list while lingering */
    struct sq_list gather_node; /* in codec->gathering while a chunk fills */

    struct sq_ws_hs *hs;               /* owned; NULL once the handshake is over */
    struct sq_ws_incoming *incoming;   /* owned; NULL while no byte waits */
    struct sq_ws_backlog *backlog;     /* owned; NULL while the kernel keeps up */
    struct sq_ws_deflate *deflate;     /* owned; NULL when not negotiated */
    struct sq_ws_held_end *held_end;   /* owned */
    char *write_text;                  /* owned; words for write_error; may be NULL */
    struct sq_ws_keepalive *keepalive; /* owned; NULL when not asked for */
    struct sq_ws_trace *trace;         /* owned; NULL when nobody watches */

    /* output: chunk[chunk_at..chunk_end), then the backlog */
    uint8_t *chunk;
    uint16_t chunk_at, chunk_end;
    uint8_t front_header_left; /* of the frame that the kernel took in part */
    bool front_counts;         /* it carries a message */
    uint64_t front_payload_left;
    uint64_t out_message_bytes;  /* bufferedAmount */
    uint64_t queueing_bytes;     /* of them, those of the frame that is being queued right now */
    uint64_t lost_message_bytes; /* of messages that were thrown away unsent */
    size_t repeat_bytes;         /* of the queue's front, a stuck TLS or HTTP/2 write has these */
    int write_error;

    /* input */
    struct sq_ws_decoder decoder;
    struct sq_ws_utf8 utf8;
    uint8_t message_kind; /* 0: none in progress */
    bool message_deflated, message_bad_utf8;
    uint8_t read_shift; /* reads are SQ_LOOP_READ_BYTES >> read_shift */
    uint64_t message_bytes_max, message_bytes;

    uint64_t fragment_bytes;
    int64_t close_timeout_ns;
    int64_t hard_deadline_ns; /* of a lingering connection with unsent output */
    uint16_t peer_code;
    uint16_t depth; /* callbacks from the loop that are on some stack now */
    uint8_t state;
    uint8_t work;
    bool lenient : 1, secure : 1;
    bool paused : 1;
    bool parked : 1;         /* the descriptor failed while nothing may be read */
    bool close_sent : 1;     /* queued, to be exact */
    bool close_received : 1; /* nothing more is decoded */
    bool failed : 1;         /* the peer broke a rule */
    bool eof : 1;
    bool shut : 1; /* shutdown(SHUT_WR) was called */
    bool ended : 1;
    bool released : 1;
    bool out_blocked : 1; /* the kernel took less than offered */
    bool out_high : 1;    /* above SQ_WS_HIGH_WATER since it was last drained */
    bool drained_due : 1; /* `drained` is to be called */
};
static_assert(sizeof(struct sq_ws_conn) <= 400, "paid once per idle connection");

/* ---- ws_conn.c ---- */
/* Around everything that may call a handler. leave may free the connection. */
static inline void sq_ws_conn_enter(struct sq_ws_conn *conn)
{
    conn->depth++;
}
void sq_ws_conn_leave(struct sq_ws_conn *conn);
/* Nobody wants messages any more. */
static inline bool sq_ws_conn_deaf(const struct sq_ws_conn *conn)
{
    return conn->released || conn->ended || conn->close_received || conn->failed;
}
/* A pause holds only while there is something to deliver. */
static inline bool sq_ws_conn_holding(const struct sq_ws_conn *conn)
{
    return conn->paused && !conn->close_sent && !sq_ws_conn_deaf(conn);
}
void sq_ws_conn_watch(struct sq_ws_conn *conn);
void sq_ws_conn_work(struct sq_ws_conn *conn, unsigned work);
/* Calls `end` once, or keeps it until the pause is over. */
void sq_ws_conn_end(struct sq_ws_conn *conn, const struct sq_ws_end *end);
/* Closes TCP; the struct stays until it is released. */
void sq_ws_conn_drop(struct sq_ws_conn *conn, bool reset);
/* The next step of closing, whenever output, Close or FIN made one possible. */
void sq_ws_conn_settle(struct sq_ws_conn *conn);
/* The peer broke a rule: Close `code`, then the end. */
void sq_ws_conn_fail(struct sq_ws_conn *conn, uint16_t code, const char *reason);
void sq_ws_conn_got_close(struct sq_ws_conn *conn, struct sq_slice payload);
void sq_ws_conn_got_eof(struct sq_ws_conn *conn);
void sq_ws_conn_got_error(struct sq_ws_conn *conn, int error);
void sq_ws_conn_cut_lingering(struct sq_net *net);
/* A Close went out: bounds the wait for what must follow. */
void sq_ws_conn_closing(struct sq_ws_conn *conn);
/* Sets the time that a released connection may still take. */
void sq_ws_conn_lingers_on(struct sq_ws_conn *conn);
/* At the end of the user's calls. */
void sq_ws_conn_after_call(struct sq_ws_conn *conn);

/* ---- ws_conn_handshake.c ---- */
void sq_ws_hs_start(struct sq_ws_conn *conn, const struct sq_ws_open *request);
void sq_ws_hs_refuse(struct sq_ws_conn *conn); /* SQ_WS_WORK_REFUSE */
void sq_ws_hs_write(struct sq_ws_conn *conn);
void sq_ws_hs_read(struct sq_ws_conn *conn);
void sq_ws_hs_timeout(struct sq_ws_conn *conn);
/* Cancels a dial that runs. */
void sq_ws_hs_free(struct sq_ws_hs *hs);

/* ---- ws_conn_keepalive.c ---- */
void sq_ws_keepalive_new(struct sq_ws_conn *conn, int64_t interval_ns, int64_t timeout_ns);
void sq_ws_keepalive_free(struct sq_ws_conn *conn);
/* The handshake is done. */
void sq_ws_keepalive_start(struct sq_ws_conn *conn);
/* The user sent a Ping. */
void sq_ws_keepalive_pinged(struct sq_ws_conn *conn);
/* Reading goes on after a pause. */
void sq_ws_keepalive_resumed(struct sq_ws_conn *conn);
/* A Pong came; true: to a Ping of ours, which the user does not know of. */
bool sq_ws_keepalive_ponged(struct sq_ws_conn *conn, struct sq_slice payload);

/* ---- ws_conn_input.c ---- */
void sq_ws_input_read(struct sq_ws_conn *conn);
/* `data` is writable and has 16 readable bytes behind it. */
void sq_ws_input_bytes(struct sq_ws_conn *conn, struct sq_slice data);
/* Decodes the stash, then goes on reading if the stream has bytes of its own. */
void sq_ws_input_continue(struct sq_ws_conn *conn);

/* ---- ws_conn_output.c ---- */
static inline bool sq_ws_output_empty(const struct sq_ws_conn *conn)
{
    return !conn->chunk && !conn->backlog;
}
/* 0, or the stored write error. */
int sq_ws_output_flush(struct sq_ws_conn *conn);
/* Queues a frame; a large one goes to the kernel at once. */
int sq_ws_output_frame(struct sq_ws_conn *conn, const struct sq_ws_frame *frame, const void *data);
void sq_ws_output_pong(struct sq_ws_conn *conn, struct sq_slice payload);
/* Forgets what was not begun to be sent (CL-5). */
void sq_ws_output_truncate(struct sq_ws_conn *conn);
void sq_ws_output_discard(struct sq_ws_conn *conn);
int sq_ws_output_close(struct sq_ws_conn *conn, uint16_t code, struct sq_slice reason);
