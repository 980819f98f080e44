/* SPDX-License-Identifier: Apache-2.0 */
/* A k6/ws session: one connection, its handlers and timers, and the events that wait for the VU.
 *
 * The loop side (callbacks of the connection) hands an event to the VU at once when its fiber waits
 * in the session's loop, else queues it; when the queue is full the connection is not read until it
 * has drained. The VU side (k6_ws.c) takes events on its fiber and calls the script. */
#pragma once
#include "base/buf.h"
#include "js/modules/modules.h"
#include "net/ws_conn.h"

enum ws_event_kind {
    WS_OPEN,
    WS_MESSAGE,
    WS_BINARY,
    WS_PING,
    WS_PONG,
    WS_CLOSE,
    WS_ERROR,
    WS_KINDS
};

struct ws_queued {
    struct ws_queued *next;
    enum ws_event_kind kind; /* WS_CLOSE: the end of the connection */
    struct sq_ws_end end;
    size_t len;
    uint8_t data[]; /* payload, close reason; one more byte behind it */
};

struct ws_handler {
    enum ws_event_kind kind;
    JSValue fn;
};

struct ws_timer {
    int64_t due_ns, interval_ns; /* interval 0: once */
    uint64_t order;              /* of setting, for equal due times */
    JSValue fn;
};

/* The opening handshake's outcome, copied: the Response needs it when the session is over. */
struct ws_outcome {
    bool arrived, opened;
    int status, error, error_code;
    struct sq_buf text; /* headers as name NUL value NUL ..., then body, error text, protocol, ip */
    size_t headers_count, body_at, body_len, error_at, protocol_at, ip_at, reason_at;
    int64_t dial_start_ns, end_ns;
};

struct ws_session {
    struct sq_list node;         /* in instance->sessions */
    struct sq_js_instance *self; /* gone before a Socket that the script kept */
    JSRuntime *rt;
    struct sq_ws_conn *conn; /* NULL once released */
    unsigned refs;           /* connect's frame, the Socket object, bound methods */
    JSValue bound[7];        /* methods handed out, in the order of WS-52 */
    struct ws_handler *handlers;
    size_t handlers_count, handlers_cap;
    struct ws_timer *timers; /* unordered: few */
    size_t timers_count, timers_cap;
    uint64_t timers_order;
    struct ws_queued *queue, **queue_tail;
    size_t queue_bytes;
    struct { /* a message the loop side offers while it waits for the VU to take it */
        struct sq_slice data;
        enum sq_ws_opcode_kind kind;
        bool ascii, offered;
    } direct;
    struct ws_outcome outcome;
    struct sq_tagset *tags; /* of the session's samples */
    int64_t *ping_sent_ns;  /* ring of the last PINGS_MAX pings */
    uint64_t pings;
    bool in_loop;      /* the VU's fiber waits for this session's events */
    bool paused;       /* we asked the connection not to read */
    bool closed;       /* the closing procedure began: no message or timer any more */
    bool stream_ended; /* its end is queued: no room will come */
    bool over;         /* connect has returned */
    char *write_error; /* text of the first failed write, repeated by later ones */
};

enum { WS_PINGS_MAX = 1024, WS_QUEUE_BYTES_MAX = 256 * 1024 };

struct ws_session *ws_session_new(struct sq_js_instance *self);
struct ws_session *ws_session_ref(struct ws_session *s);
void ws_session_unref(struct ws_session *s);
/* What the connection calls. */
extern const struct sq_ws_handler ws_session_handler;
/* The oldest queued event, unlinked; owned: free. NULL: none. Lets the connection read again. */
struct ws_queued *ws_session_next(struct ws_session *s);
/* Gives the connection up after a last Close frame when none went out: for interruptions. */
void ws_session_cut(struct ws_session *s);
/* Drops what only a live session needs; error handlers stay for late writes (WS-126). */
void ws_session_retire(struct ws_session *s);
