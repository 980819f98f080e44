/* SPDX-License-Identifier: Apache-2.0 */
/* A WebSocket of k6/websockets: its state, what the loop side reports as tasks, what the class and
 * its constructor share. Everything that only some sockets need hangs off the struct.
 *
 *   constructor -> CONNECTING -> task OPEN -> OPEN -> tasks MESSAGE, PING ... -> task END -> CLOSED
 *
 * From the constructor until END has been handled the socket is a resource of its VU and holds its
 * own object; then only the script does. */
#pragma once
#include <assert.h>

#include "js/dom/dom.h"
#include "net/ws_conn.h"

enum websocket_state { WEBSOCKET_CONNECTING, WEBSOCKET_OPEN, WEBSOCKET_CLOSING, WEBSOCKET_CLOSED };

enum {
    WEBSOCKET_QUEUE_BYTES_MAX = 256 * 1024, /* of one socket's messages that wait */
    WEBSOCKET_VU_BYTES_MAX = 4 * 1024 * 1024,
    WEBSOCKET_PINGS_MAX = 1024, /* without an answer, that are remembered */
};

/* Until the dial is over. */
struct websocket_opening {
    struct sq_cookie_jar *jar;
    JSValue jar_value;
    struct sq_tagset *tags; /* at construction, with params.tags */
    char *url;              /* as dialled */
    int64_t start_wall_ns;
    bool asked_protocol;
};

struct websocket_ping {
    uint64_t number;
    int64_t sent_ns;
};

struct websocket_pings {
    uint64_t next;
    struct websocket_ping *items; /* unanswered, oldest first */
    size_t count, cap;
};

struct websocket {
    struct dom_target target; /* first: sq_dom_target() hands it out */
    struct sq_js_resource resource;
    struct sq_list paused_node; /* in self->paused_sockets */
    struct sq_js_instance *self;
    JSValue object; /* owned while a resource */
    JSValue url;
    struct sq_ws_conn *conn;           /* NULL once released */
    struct websocket_opening *opening; /* NULL after */
    struct sq_tagset *tags;            /* of the samples; NULL before the dial's end */
    struct websocket_pings *pings;     /* NULL before the first */
    char *protocol, *extensions;       /* NULL: "" */
    int64_t dial_start_ns;
    uint64_t shown_bytes; /* bufferedAmount as the script sees it in turn `turn` */
    uint64_t turn;
    uint64_t lost_bytes; /* given to send() when nothing could be sent any more */
    size_t queued_bytes; /* of messages that wait */
    uint32_t queued;     /* tasks that wait */
    uint8_t state;
    bool array_buffer; /* binaryType */
    bool opened;       /* the handshake succeeded */
    bool ending;       /* END is queued, or was */
    bool held;         /* its WebSocketStream has enough */
    bool paused, warned_pong, standard;
};
static_assert(sizeof(struct websocket) <= 288, "paid once per socket");

struct websocket *websocket_of(JSValueConst value);
/* An object in state CONNECTING that keeps its VU's iteration going. *out is borrowed. */
JSValue websocket_new(JSContext *ctx, JSValueConst new_target, JSValue url, struct websocket **out);
JSValue websocket_construct(JSContext *ctx, JSValueConst new_target, int argc, JSValueConst *argv);

/* ---- websocket_tasks.c ---- */
extern const struct sq_ws_handler websocket_handler;
/* Queues the end of a connection that failed here: `error`, then `close` with 1006. */
void websocket_fail(struct websocket *ws, const char *text);
/* close() by the script or the end of the iteration. code 1005: no body. True: a Close frame was
 * queued. */
bool websocket_close(struct websocket *ws, unsigned code, struct sq_slice reason);
/* Brings shown_bytes up to date: once a turn. */
void websocket_sync(struct websocket *ws);
void websocket_stop(struct sq_js_instance *self, struct sq_js_resource *resource, bool cut);
void websocket_sample(struct websocket *ws, enum sq_metric_id metric, int64_t wall_ns,
                      double value);
void websocket_count_sent(struct websocket *ws);
void websocket_opening_free(struct websocket *ws);

/* ---- websocket_url.c ---- */
struct websocket_url {
    char *shown;   /* the url attribute. Owned: free */
    char *dialled; /* what the connection is given. Owned: free */
    char *origin;  /* of the base URL, NULL without one. Owned: free */
};
/* Throws what the constructor does for a bad one. 0 or -1. */
int websocket_url_parse(JSContext *ctx, JSValueConst value, bool missing,
                        struct websocket_url *out);
