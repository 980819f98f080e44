/* SPDX-License-Identifier: Apache-2.0 */
/* The loop side of a WebSocket: what its connection reports becomes tasks of the VU, one per event
 * (sections 5, 7 and 9 of the module's specification). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "js/websockets/websocket.h"
#include "js/ws/ws_request.h"
#include "proto/ws/close.h"

enum task_kind { OPEN, MESSAGE, BINARY, PING, PONG, DRAIN, END };

enum { CODE_GENERIC = 1000 }; /* MET-38 */

struct task {
    struct sq_js_task base;
    struct websocket *ws;
    enum task_kind kind;
    int64_t wall_ns; /* of arrival */
    struct sq_slice data;
    struct sq_slice text; /* END: what the error event says; OPEN: extensions */
    uint16_t code;        /* END */
    int error_code;
    bool clean, failed; /* END: by Close frames both ways; with an error event */
    bool borrowed;      /* offered: it and its data are the connection's */
    bool ascii;         /* MESSAGE */
    uint8_t bytes[];
};

/* ---- the queue, and its bounds ---- */

/* What the peer can make many of. */
static size_t weight(const struct task *t)
{
    return t->kind == OPEN || t->kind == END ? 0 : sizeof *t + t->data.len;
}

static void may_read(struct sq_js_instance *self)
{
    if (self->queued_bytes > WEBSOCKET_VU_BYTES_MAX / 2)
        return;
    self->sockets_paused = false;
    SQ_LIST_FOR_EACH (node, &self->paused_sockets) {
        struct websocket *ws = SQ_CONTAINER_OF(node, struct websocket, paused_node);
        if (ws->queued_bytes > WEBSOCKET_QUEUE_BYTES_MAX / 2)
            continue;
        sq_list_remove(node);
        ws->paused = false;
        if (ws->conn && !ws->held)
            sq_ws_conn_resume(ws->conn);
    }
}

static void pause_reading(struct websocket *ws)
{
    if (ws->paused || !ws->conn || !ws->opened)
        return;
    ws->paused = true;
    sq_list_append(&ws->self->paused_sockets, &ws->paused_node);
    sq_ws_conn_pause(ws->conn);
}

/* All, not only those that bring more: each would bring what one read takes. */
static void pause_vu(struct sq_js_instance *self)
{
    if (self->sockets_paused)
        return;
    self->sockets_paused = true;
    SQ_LIST_FOR_EACH (node, &self->resources) {
        struct sq_js_resource *resource = SQ_CONTAINER_OF(node, struct sq_js_resource, node);
        if (resource->stop == websocket_stop)
            pause_reading(SQ_CONTAINER_OF(resource, struct websocket, resource));
    }
}

static void account(struct task *t)
{
    struct websocket *ws = t->ws;
    struct sq_js_instance *self = ws->self;

    ws->queued++;
    ws->queued_bytes += weight(t);
    self->queued_bytes += weight(t);
    if (ws->queued_bytes > WEBSOCKET_QUEUE_BYTES_MAX)
        pause_reading(ws);
    if (self->queued_bytes > WEBSOCKET_VU_BYTES_MAX)
        pause_vu(self);
}

static void free_task(struct task *t)
{
    struct websocket *ws = t->ws;

    if (t->borrowed)
        return;
    ws->queued--;
    ws->queued_bytes -= weight(t);
    ws->self->queued_bytes -= weight(t);
    if (!sq_list_empty(&ws->self->paused_sockets))
        may_read(ws->self);
    free(t);
}

static void drop(struct sq_js_instance *self, struct sq_js_task *task)
{
    (void)self;
    free_task((struct task *)task);
}

static bool belongs_to(const struct sq_js_task *task, const void *owner);
static int run(struct sq_js_instance *self, struct sq_js_task *task);

static bool belongs_to(const struct sq_js_task *task, const void *owner)
{
    return task->run == run && ((const struct task *)task)->ws == owner;
}

static void post(const struct task *model)
{
    size_t data = model->data.len, text = model->text.len;
    struct task *t = sq_xmalloc(sizeof *t + data + text);

    *t = *model;
    t->base.run = run;
    t->base.drop = drop;
    if (data)
        memcpy(t->bytes, model->data.data, data);
    if (text)
        memcpy(t->bytes + data, model->text.data, text);
    t->data = sq_slice(t->bytes, data);
    t->text = sq_slice(t->bytes + data, text);
    account(t);
    sq_js_post(t->ws->self, &t->base);
}

/* ---- the socket's own steps ---- */

void websocket_sample(struct websocket *ws, enum sq_metric_id metric, int64_t wall_ns, double value)
{
    if (ws->tags)
        sq_vu_sample_tags(ws->self->vu, metric, ws->tags, wall_ns, value);
}

void websocket_count_sent(struct websocket *ws)
{
    if (ws->tags)
        sq_vu_count(ws->self->vu, SQ_M_WS_MSGS_SENT, ws->tags);
}

void websocket_sync(struct websocket *ws)
{
    if (!ws->conn || ws->turn == ws->self->turn)
        return;
    ws->turn = ws->self->turn;
    ws->shown_bytes = sq_ws_conn_buffered(ws->conn) + sq_ws_conn_lost(ws->conn);
}

static void release(struct websocket *ws)
{
    if (!ws->conn)
        return;
    websocket_sync(ws);
    sq_list_remove(&ws->paused_node);
    ws->paused = false;
    struct sq_ws_conn *conn = ws->conn;
    ws->conn = NULL;
    sq_ws_conn_release(conn);
}

void websocket_opening_free(struct websocket *ws)
{
    struct websocket_opening *o = ws->opening;

    if (!o)
        return;
    ws->opening = NULL;
    JS_FreeValue(ws->self->cell->ctx, o->jar_value);
    sq_tagset_unref(o->tags);
    free(o->url);
    free(o);
}

/* The VU no longer waits for the socket. May free it. */
static void finish(struct websocket *ws)
{
    JSContext *ctx = ws->self->cell->ctx;
    JSValue object = ws->object;

    ws->state = WEBSOCKET_CLOSED;
    ws->ending = true;
    release(ws);
    if (ws->queued)
        sq_js_drop_tasks(ws->self, belongs_to, ws);
    websocket_opening_free(ws);
    sq_tagset_unref(ws->tags);
    ws->tags = NULL;
    sq_list_remove(&ws->resource.node);
    ws->object = JS_UNDEFINED;
    JS_FreeValue(ctx, object);
}

void websocket_fail(struct websocket *ws, const char *text)
{
    if (ws->ending)
        return;
    ws->ending = true;
    post(&(struct task){.ws = ws,
                        .kind = END,
                        .failed = true,
                        .code = SQ_WS_CLOSE_ABNORMAL,
                        .error_code = CODE_GENERIC,
                        .text = sq_slice_str(text)});
}

bool websocket_close(struct websocket *ws, unsigned code, struct sq_slice reason)
{
    uint8_t before = ws->state;
    bool sent = false;

    if (before == WEBSOCKET_CLOSING || before == WEBSOCKET_CLOSED)
        return false;
    ws->state = WEBSOCKET_CLOSING;
    if (ws->conn && ws->opened)
        sent = sq_ws_conn_close(ws->conn, (uint16_t)code, reason) == 0;
    if (before == WEBSOCKET_CONNECTING) {
        release(ws);
        websocket_fail(ws, "WebSocket is closed before the connection is established");
    }
    return sent;
}

void websocket_stop(struct sq_js_instance *self, struct sq_js_resource *resource, bool cut)
{
    struct websocket *ws = SQ_CONTAINER_OF(resource, struct websocket, resource);

    if (!cut) {
        websocket_close(ws, SQ_WS_CLOSE_NORMAL, sq_slice("", 0));
        return;
    }
    if (ws->conn && ws->opened) {
        unsigned code = ws->standard ? SQ_WS_CLOSE_GOING_AWAY : SQ_WS_CLOSE_NORMAL;
        atomic_fetch_add_explicit(&self->vu->worker->sessions_cut, 1, memory_order_relaxed);
        if (!sq_ws_conn_close_sent(ws->conn))
            (void)!sq_ws_conn_close(ws->conn, (uint16_t)code, sq_slice("", 0));
    }
    finish(ws);
}

/* ---- events ---- */

static bool listens(const struct websocket *ws, enum dom_event_type type)
{
    return sq_dom_listens(&ws->target, sq_dom_atom(ws->self, type));
}

/* Consumes the event. -1: a listener threw, or the VU is to stop. */
static int fire(struct websocket *ws, JSValue event)
{
    JSContext *ctx = ws->self->cell->ctx;

    if (JS_IsException(event))
        return -1;
    JSValue object = JS_DupValue(ctx, ws->object);
    int rc = sq_dom_dispatch(ctx, &ws->target, object, event, true);
    JS_FreeValue(ctx, object);
    sq_dom_event_done(ctx, event);
    return rc;
}

static JSValue text_of(JSContext *ctx, struct sq_slice text)
{
    return JS_NewStringLen(ctx, text.len ? (const char *)text.data : "", text.len);
}

static int fire_error(struct websocket *ws, struct sq_slice text, int code)
{
    JSContext *ctx = ws->self->cell->ctx;

    if (!listens(ws, DOM_ERROR))
        return 0;
    JSValue event = sq_dom_event_new(ctx, DOM_EVENT, sq_dom_atom(ws->self, DOM_ERROR), 0);
    if (JS_IsException(event))
        return -1;
    JSValue words = text_of(ctx, text);
    JS_DefinePropertyValueStr(ctx, event, "error", JS_DupValue(ctx, words), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, event, "message", words, JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, event, "code", JS_NewInt32(ctx, code), JS_PROP_C_W_E);
    return fire(ws, event);
}

static int fire_close(struct websocket *ws, unsigned code, struct sq_slice reason, bool clean)
{
    JSContext *ctx = ws->self->cell->ctx;

    if (!listens(ws, DOM_CLOSE))
        return 0;
    JSValue event = sq_dom_event_new(ctx, DOM_CLOSE_EVENT, sq_dom_atom(ws->self, DOM_CLOSE), 0);
    if (!JS_IsException(event))
        sq_dom_event_close(ctx, event, code, text_of(ctx, reason), clean);
    return fire(ws, event);
}

static bool stopped(const struct websocket *ws)
{
    return ws->self->vu->interrupted || ws->self->aborted;
}

static void swallow(JSContext *ctx)
{
    if (JS_HasException(ctx))
        JS_FreeValue(ctx, JS_GetException(ctx));
}

/* A listener of open or message threw (5.3): the connection is given up, error and close follow
 * within the task, then the exception ends the iteration. */
static int give_up(struct websocket *ws)
{
    JSContext *ctx = ws->self->cell->ctx;

    if (stopped(ws))
        return -1;
    JSValue exception = JS_GetException(ctx);
    if (ws->state == WEBSOCKET_CLOSED)
        return JS_Throw(ctx, exception), -1;
    char *text = sq_js_exception_text(ctx, JS_DupValue(ctx, exception));
    if (ws->conn && !sq_ws_conn_close_sent(ws->conn))
        (void)!sq_ws_conn_close(ws->conn, SQ_WS_CLOSE_NORMAL, sq_slice("", 0));
    release(ws);
    ws->state = WEBSOCKET_CLOSED;
    if (fire_error(ws, sq_slice_str(text), CODE_GENERIC) < 0)
        swallow(ctx);
    if (!stopped(ws) && fire_close(ws, SQ_WS_CLOSE_ABNORMAL, sq_slice("", 0), false) < 0)
        swallow(ctx);
    free(text);
    if (!stopped(ws))
        finish(ws);
    JS_Throw(ctx, exception);
    return -1;
}

/* ---- tasks, on the VU's fiber. Each frees its task before it calls the script. ---- */

static int run_open(struct websocket *ws, struct task *t)
{
    JSContext *ctx = ws->self->cell->ctx;
    bool stale = ws->state != WEBSOCKET_CONNECTING;

    if (!stale) {
        ws->state = WEBSOCKET_OPEN;
        if (t->data.len)
            ws->protocol = sq_xstrndup((const char *)t->data.data, t->data.len);
        if (t->text.len)
            ws->extensions = sq_xstrndup((const char *)t->text.data, t->text.len);
        websocket_opening_free(ws);
    }
    free_task(t);
    if (stale || !listens(ws, DOM_OPEN))
        return 0;
    JSValue event = sq_dom_event_new(ctx, DOM_EVENT, sq_dom_atom(ws->self, DOM_OPEN), 0);
    return fire(ws, event) < 0 ? give_up(ws) : 0;
}

/* `ws://host:port` of the url, which is serialised already. */
static JSValue origin(JSContext *ctx, const struct websocket *ws)
{
    if (!ws->standard)
        return JS_DupValue(ctx, ws->url);
    const char *url = JS_ToCString(ctx, ws->url);
    if (!url)
        return JS_EXCEPTION;
    const char *host = strstr(url, "://"), *at;
    host = host ? host + 3 : url;
    size_t len = strcspn(host, "/?#");
    if ((at = memchr(host, '@', len)))
        len -= (size_t)(at + 1 - host), host = at + 1;
    char *text = sq_xasprintf("%.*s%.*s", (int)(strstr(url, "://") ? strcspn(url, ":") + 3 : 0),
                              url, (int)len, host);
    JSValue value = JS_NewString(ctx, text);
    free(text);
    JS_FreeCString(ctx, url);
    return value;
}

static JSValue payload(JSContext *ctx, const struct websocket *ws, const struct task *t)
{
    if (t->kind == MESSAGE)
        return t->ascii ? sq_js_ascii_new(ctx, t->data) : text_of(ctx, t->data);
    return ws->array_buffer ? JS_NewArrayBufferCopy(ctx, t->data.data, t->data.len)
                            : sq_dom_blob_new(ctx, t->data);
}

static int run_message(struct websocket *ws, struct task *t)
{
    JSContext *ctx = ws->self->cell->ctx;
    int64_t wall_ns = t->wall_ns;
    bool wanted = ws->state == WEBSOCKET_OPEN;
    JSValue data = JS_UNDEFINED;

    if (wanted) {
        websocket_sample(ws, SQ_M_WS_MSGS_RECEIVED, wall_ns, 1);
        wanted = listens(ws, DOM_MESSAGE);
    }
    if (wanted)
        data = payload(ctx, ws, t);
    free_task(t);
    if (!wanted)
        return 0;
    if (JS_IsException(data))
        return give_up(ws);
    JSValue event =
        sq_dom_event_new(ctx, DOM_MESSAGE_EVENT, sq_dom_atom(ws->self, DOM_MESSAGE), wall_ns);
    if (JS_IsException(event))
        JS_FreeValue(ctx, data);
    else
        sq_dom_event_message(ctx, event, data, origin(ctx, ws));
    return fire(ws, event) < 0 ? give_up(ws) : 0;
}

static int run_control(struct websocket *ws, struct task *t)
{
    JSContext *ctx = ws->self->cell->ctx;
    enum dom_event_type type = t->kind == PING ? DOM_PING : t->kind == PONG ? DOM_PONG : DOM_DRAIN;
    bool wanted = ws->state == WEBSOCKET_OPEN || ws->state == WEBSOCKET_CLOSING;
    JSValue event = JS_UNDEFINED;

    wanted = wanted && listens(ws, type);
    if (wanted) {
        event = sq_dom_event_new(ctx, DOM_EVENT, sq_dom_atom(ws->self, type), t->wall_ns);
        if (!JS_IsException(event))
            JS_DefinePropertyValueStr(ctx, event, "data",
                                      JS_NewArrayBufferCopy(ctx, t->data.data, t->data.len),
                                      JS_PROP_C_W_E);
    }
    free_task(t);
    return wanted ? fire(ws, event) : 0;
}

/* Exactly one close event, whatever listeners of error do. */
static int run_end(struct websocket *ws, struct task *t)
{
    JSContext *ctx = ws->self->cell->ctx;
    JSValue exception = JS_UNINITIALIZED;
    struct sq_buf reason = {0};
    unsigned code = t->code;
    bool clean = t->clean;
    int rc = 0;

    if (clean && ws->state == WEBSOCKET_OPEN) { /* G25: the peer closes, a task of its own */
        ws->state = WEBSOCKET_CLOSING;
        sq_js_post(ws->self, &t->base);
        return 0;
    }
    ws->state = WEBSOCKET_CLOSED;
    release(ws);
    if (ws->opened)
        websocket_sample(ws, SQ_M_WS_SESSION_DURATION, sq_wall_ns(),
                         (double)(sq_now_ns() - ws->dial_start_ns) / SQ_NS_PER_MS);
    sq_buf_put(&reason, t->data.data, t->data.len);
    if (t->failed)
        rc = fire_error(ws, t->text, t->error_code);
    free_task(t);
    if (rc < 0 && !stopped(ws))
        exception = JS_GetException(ctx);
    if (!stopped(ws))
        rc = fire_close(ws, code, sq_buf_slice(&reason), clean);
    sq_buf_deinit(&reason);
    if (!JS_IsUninitialized(exception)) { /* the first one counts */
        swallow(ctx);
        JS_Throw(ctx, exception);
        rc = -1;
    }
    if (!stopped(ws))
        finish(ws); /* else sq_js_cut does */
    return rc;
}

static int run(struct sq_js_instance *self, struct sq_js_task *task)
{
    struct task *t = (struct task *)task;

    (void)self;
    switch (t->kind) {
    case OPEN:
        return run_open(t->ws, t);
    case MESSAGE:
    case BINARY:
        return run_message(t->ws, t);
    case PING:
    case PONG:
    case DRAIN:
        return run_control(t->ws, t);
    default:
        return run_end(t->ws, t);
    }
}

/* ---- what the connection calls ---- */

/* url and name: the name tag of the script, or the URL (11.3). `reason` of a failure, or NULL. */
static void tag(struct websocket *ws, const struct sq_ws_handshake *r, const char *reason,
                int error_code)
{
    struct sq_run *run_of = ws->self->vu->worker->run;
    unsigned wanted = run_of->config->system_tags;
    struct sq_slice name = sq_tagset_get(ws->opening->tags, "name");
    struct sq_slice url = name.data ? name : sq_slice_str(ws->opening->url);
    struct sq_tag_pair pairs[7];
    char status[16], code[16];
    size_t n = 0;

    snprintf(status, sizeof status, "%d", r->status);
    if (wanted & SQ_TAG_URL)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("url"), url};
    if (wanted & SQ_TAG_NAME)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("name"), url};
    if (wanted & SQ_TAG_IP && r->remote_ip && *r->remote_ip && r->status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("ip"), sq_slice_str(r->remote_ip)};
    if (wanted & SQ_TAG_STATUS && r->status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("status"), sq_slice_str(status)};
    if (wanted & SQ_TAG_SUBPROTO && r->status)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("subproto"),
                                          r->protocol.len ? r->protocol : sq_slice("", 0)};
    snprintf(code, sizeof code, "%d", error_code);
    if (wanted & SQ_TAG_ERROR && reason)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("error"),
                                          sq_slice_str(ws_failure_words(error_code, reason))};
    if (wanted & SQ_TAG_ERROR_CODE && reason)
        pairs[n++] = (struct sq_tag_pair){sq_slice_str("error_code"), sq_slice_str(code)};
    ws->tags = sq_tagset_with(run_of->tag_table, ws->opening->tags, pairs, n);
}

static void store_cookies(struct websocket *ws, const struct sq_ws_handshake *r)
{
    for (size_t i = 0; i < r->headers_count; i++) {
        if (!sq_ascii_eq_nocase(r->headers[i].name, sq_slice_str("set-cookie")))
            continue;
        char *value = sq_xstrndup((const char *)r->headers[i].value.data, r->headers[i].value.len);
        sq_k6_http_store_cookie(ws->opening->jar, ws->opening->url, value);
        free(value);
    }
}

static void on_handshake(void *user, const struct sq_ws_handshake *r)
{
    static const char unconfirmed[] = "the server confirmed none of the subprotocols";
    struct websocket *ws = user;
    bool refused = r->opened && ws->standard && ws->opening->asked_protocol && !r->protocol.len;
    double ms = (double)(r->timings.end_ns - r->timings.dial_start_ns) / SQ_NS_PER_MS;

    const char *reason = refused ? unconfirmed : *r->reason ? r->reason : r->error_text;

    tag(ws, r, r->opened && !refused ? NULL : reason, refused ? CODE_GENERIC : r->error_code);
    websocket_sample(ws, SQ_M_WS_SESSIONS, ws->opening->start_wall_ns, 1);
    websocket_sample(ws, SQ_M_WS_CONNECTING, ws->opening->start_wall_ns, ms);
    store_cookies(ws, r);
    ws->dial_start_ns = r->timings.dial_start_ns;
    if (r->opened && !refused) {
        ws->opened = true;
        if (ws->self->sockets_paused)
            pause_reading(ws);
        post(&(struct task){.ws = ws, .kind = OPEN, .data = r->protocol, .text = r->extensions});
        return;
    }
    ws_log_failure(ws->self, ws->opening->url, r->status, reason);
    struct sq_ws_conn *conn = ws->conn;
    ws->conn = NULL;
    sq_ws_conn_abort(conn);
    ws->ending = true;
    post(
        &(struct task){.ws = ws,
                       .kind = END,
                       .failed = true,
                       .code = SQ_WS_CLOSE_ABNORMAL,
                       .error_code = refused ? CODE_GENERIC : r->error_code,
                       .text = sq_slice_str(refused ? "websocket: bad handshake" : r->error_text)});
}

static void on_message(void *user, enum sq_ws_opcode_kind kind, struct sq_slice data, bool ascii)
{
    struct websocket *ws = user;
    struct task t = {.base = {.run = run, .drop = drop},
                     .ws = ws,
                     .kind = kind == SQ_WS_KIND_TEXT ? MESSAGE : BINARY,
                     .wall_ns = sq_loop_wall(ws->self->vu->worker->loop),
                     .data = data,
                     .borrowed = true,
                     .ascii = ascii};

    if (ws->state == WEBSOCKET_CLOSING || ws->state == WEBSOCKET_CLOSED)
        return;
    if (!ws->queued && sq_js_offer(ws->self, &t.base))
        return;
    t.borrowed = false;
    post(&t);
}

static void on_ping(void *user, struct sq_slice data)
{
    struct websocket *ws = user;

    /* Nobody listens: a task would only cost. */
    if (listens(ws, DOM_PING))
        post(&(struct task){.ws = ws,
                            .kind = PING,
                            .wall_ns = sq_loop_wall(ws->self->vu->worker->loop),
                            .data = data});
}

/* Time of the ping that the payload answers, -1 when it is none of ours. */
static double take_ping(struct websocket *ws, struct sq_slice data)
{
    struct websocket_pings *p = ws->pings;
    uint64_t number = 0;

    if (!p || data.len == 0 || data.len > 19 || (data.data[0] == '0' && data.len > 1))
        return -1;
    for (size_t i = 0; i < data.len; i++) {
        if (!isdigit(data.data[i]))
            return -1;
        number = number * 10 + (uint64_t)(data.data[i] - '0');
    }
    for (size_t i = 0; i < p->count; i++)
        if (p->items[i].number == number) {
            int64_t sent_ns = p->items[i].sent_ns;
            p->count--;
            memmove(p->items + i, p->items + i + 1, (p->count - i) * sizeof *p->items);
            return (double)(sq_now_ns() - sent_ns) / SQ_NS_PER_MS;
        }
    return -1;
}

static void on_pong(void *user, struct sq_slice data)
{
    struct websocket *ws = user;
    double ms = take_ping(ws, data);

    if (ms < 0 && !ws->warned_pong) {
        ws->warned_pong = true;
        sq_log(SQ_LOG_DEBUG, "ws", "received pong for unknown ping ID %.*s", (int)data.len,
               data.data);
    }
    if (ms >= 0)
        websocket_sample(ws, SQ_M_WS_PING, sq_loop_wall(ws->self->vu->worker->loop), ms);
    if (listens(ws, DOM_PONG))
        post(&(struct task){.ws = ws,
                            .kind = PONG,
                            .wall_ns = sq_loop_wall(ws->self->vu->worker->loop),
                            .data = data});
}

static void on_end(void *user, const struct sq_ws_end *end)
{
    struct websocket *ws = user;
    bool by_close = end->kind == SQ_WS_END_CLOSE;
    struct task t = {.ws = ws,
                     .kind = END,
                     .code = by_close ? end->code : SQ_WS_CLOSE_ABNORMAL,
                     .error_code = CODE_GENERIC,
                     .clean = by_close,
                     .failed = !by_close || (!ws->standard && end->code != SQ_WS_CLOSE_NORMAL &&
                                             end->code != SQ_WS_CLOSE_GOING_AWAY),
                     .text = sq_slice_str(end->text ? end->text : "")};

    if (by_close)
        t.data = end->reason;
    else if (end->kind == SQ_WS_END_EOF && !ws->standard)
        t.data = sq_slice_str("unexpected EOF");
    if (ws->ending)
        return;
    ws->ending = true;
    /* Not a peer that only leaves Close unanswered. */
    if (end->kind == SQ_WS_END_PROTOCOL ||
        (end->kind == SQ_WS_END_TIMEOUT && !sq_ws_conn_close_sent(ws->conn)))
        ws_log_failure(ws->self, NULL, 0, end->text);
    post(&t);
}

static void on_drained(void *user)
{
    struct websocket *ws = user;

    if (listens(ws, DOM_DRAIN))
        post(&(struct task){
            .ws = ws, .kind = DRAIN, .wall_ns = sq_loop_wall(ws->self->vu->worker->loop)});
}

const struct sq_ws_handler websocket_handler = {
    .handshake = on_handshake,
    .message = on_message,
    .ping = on_ping,
    .pong = on_pong,
    .end = on_end,
    .drained = on_drained,
    .answer_close = true,
};
