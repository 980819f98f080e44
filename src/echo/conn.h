/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of the echo server, and what the connections share. Not for other layers.
 *
 *      HEAD -> (DELAYED ->) OPEN -> CLOSING -> ENDING -> DEAD
 *        '-------- refused --------------------^
 *
 * A connection that is over is DEAD at once, its descriptor closed, but its memory goes in deferred
 * work: whoever calls into a connection looks at its phase afterwards and not at a result. */
#pragma once
#include <openssl/types.h>

#include "base/buf.h"
#include "echo/echo.h"
#include "echo/plan.h"
#include "echo/tls.h"
#include "loop/loop.h"
#include "proto/http1/head.h"
#include "proto/ws/deflate.h"
#include "proto/ws/frame.h"
#include "proto/ws/utf8.h"

enum sq_echo_phase {
    SQ_ECHO_HEAD,    /* TLS handshake and request head */
    SQ_ECHO_DELAYED, /* /slow: the answer is queued but held back */
    SQ_ECHO_OPEN,
    SQ_ECHO_CLOSING, /* our Close is out, the peer's is awaited; messages are dropped */
    SQ_ECHO_ENDING,  /* nothing is parsed any more; the output leaves, then the stream ends */
    SQ_ECHO_DEAD,
};

struct sq_echo_conn {
    struct sq_io io;
    struct sq_timer timer; /* handshake, the route's beat, or the end of patience */
    struct sq_echo *echo;
    struct sq_list node;      /* echo->conns or echo->dead */
    struct sq_list room_node; /* in a room, else unlinked */
    struct sq_list flush_node;
    struct sq_echo_room *room;
    struct sq_echo_plan *plan;     /* owned; NULL: plain echo */
    struct sq_ws_deflate *deflate; /* owned; NULL: not negotiated */
    SSL *ssl;                      /* owned; NULL: plain TCP */
    struct sq_buf in;              /* a head in pieces */
    struct sq_buf message;         /* a message in pieces */
    struct sq_buf control;         /* a control frame in pieces */
    struct sq_buf out;             /* from out_at on: not yet taken by the kernel */
    size_t out_at;
    size_t counted_bytes; /* of them, as they are in echo->stats.buffered_bytes */
    struct sq_ws_decoder decoder;
    struct sq_http1_parser parser;
    struct sq_ws_utf8 utf8;
    uint8_t phase;   /* sq_echo_phase */
    uint8_t opcode;  /* of the message in progress */
    bool compressed; /* the message in progress is */
    bool drain;      /* ENDING: the peer may still be sending; wait for its end before closing */
    bool shut;       /* our FIN went out */
};

struct sq_echo_room {
    struct sq_list node;
    struct sq_list members;
    uint8_t name_len;
    uint8_t name[SQ_ECHO_TEXT_MAX];
};

enum { SQ_ECHO_SPARES = 32, SQ_ECHO_SPARE_BYTES_MAX = 64 * 1024 };

struct sq_echo {
    struct sq_loop *loop;
    struct sq_io listener;
    struct sq_timer pause; /* no descriptors left: accept again later */
    struct sq_echo_tls *tls;
    struct sq_ws_deflate_pool *deflate_pool;
    struct sq_list conns, dead, rooms, flush;
    struct sq_deferred turn_end;
    struct sq_echo_conn *reading;         /* its output leaves when its input has been seen */
    struct sq_buf spares[SQ_ECHO_SPARES]; /* empty output buffers with memory */
    unsigned spare_count, room_count;
    uint16_t port;
    bool no_deflate;
    uint32_t connections_max;
    uint64_t message_bytes_max, buffered_bytes_max;
    int64_t handshake_timeout_ns;
    struct sq_echo_stats stats;
};

/* Takes over a connected, non-blocking socket. 0 or a negative status: the socket is closed then.
 */
SQ_MUST_USE int sq_echo_conn_start(struct sq_echo *echo, int fd);
/* A Close frame and the end, as far as that needs no waiting. */
void sq_echo_conn_stop(struct sq_echo_conn *conn);
/* Deferred work: flushes what was queued for others, frees the dead. */
void sq_echo_conns_turn_end(struct sq_echo *echo);
/* The listener may accept again: called when a connection is gone. */
void sq_echo_accept_more(struct sq_echo *echo);
