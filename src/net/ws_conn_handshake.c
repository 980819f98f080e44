/* SPDX-License-Identifier: Apache-2.0 */
/* The opening handshake of a WebSocket connection: dialling, the request in one write, the response
 * head, the body of a refusal. Rules HS-9..HS-11, HR. One deadline covers all of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/h2.h"
#include "net/stream_private.h"
#include "net/ws_conn_private.h"
#include "proto/http1/head.h"
#include "proto/url.h"
#include "proto/ws/handshake.h"

enum { INTERIM_MAX = 8 }; /* 1xx responses before the final one, HR-2 */
enum {                    /* MET-38 */
       CODE_GENERIC = 1000,
       CODE_URL = 1020,
       CODE_TIMEOUT = 1050,
       CODE_BROKEN_PIPE = 1201,
       CODE_DIAL = 1210,
       CODE_RESET = 1220,
};
/* How long a refusal's body may take when its end is told, and when only a FIN would tell. */
#define BODY_WAIT_NS SQ_NS_PER_S
#define BODY_UNTIL_EOF_WAIT_NS (50 * SQ_NS_PER_MS)

/* A response whose body is gathered. */
struct refusal {
    struct sq_http1_head head; /* borrows from sq_ws_hs.head */
    struct sq_http1_body body;
};

struct sq_ws_hs {
    struct sq_dial *dial; /* while it runs */
    struct sq_url url;
    struct sq_buf request;
    struct sq_buf request_h2; /* should it come to HTTP/2; empty: it must not */
    size_t request_at;
    struct sq_buf head; /* of the response, while it is not complete, and of a refusal */
    struct sq_http1_parser parser;
    struct refusal *refusal;
    struct sq_ws_pmd offer;
    struct sq_ws_deflate_offer deflate;
    char *protocols;   /* asked for */
    char *refuse_text; /* why nothing was dialled */
    int refuse_error, refuse_code;
    int interims; /* 1xx responses so far */
    int64_t deadline_ns;
    struct sq_net_counters *counters;
    uint32_t vu_id;
    struct sq_ws_timings timings;
    char remote_ip[64];
    char key[SQ_WS_KEY_LEN + 1];
};

void sq_ws_hs_free(struct sq_ws_hs *hs)
{
    if (!hs)
        return;
    if (hs->dial)
        sq_dial_cancel(hs->dial);
    if (hs->url.store)
        sq_url_deinit(&hs->url);
    sq_buf_deinit(&hs->request);
    sq_buf_deinit(&hs->request_h2);
    sq_buf_deinit(&hs->head);
    free(hs->refusal);
    free(hs->protocols);
    free(hs->refuse_text);
    free(hs);
}

/* ---- results ---- */

struct failure {
    int error, error_code;
    const char *text;   /* borrowed */
    const char *reason; /* borrowed; NULL: text */
};

/* Closes TCP (HR-14) and reports. `response` may be NULL. */
static void fail(struct sq_ws_conn *conn, const struct failure *f,
                 const struct sq_http1_head *response, const struct sq_ws_verdict *verdict)
{
    struct sq_ws_hs *hs = conn->hs;
    struct sq_ws_header headers[SQ_HTTP1_FIELDS_MAX];
    struct sq_ws_handshake result = {.error = f->error,
                                     .error_text = f->text,
                                     .error_code = f->error_code,
                                     .reason = f->reason ? f->reason : f->text,
                                     .remote_ip = hs->remote_ip,
                                     .headers = headers};

    hs->timings.end_ns = sq_now_ns();
    result.timings = hs->timings;
    if (response) {
        result.status = response->status;
        result.headers_count = response->fields_count;
        for (size_t i = 0; i < response->fields_count; i++)
            headers[i] = (struct sq_ws_header){response->fields[i].name, response->fields[i].value};
    }
    if (verdict) {
        result.protocol = verdict->protocol;
        result.extensions = verdict->extensions;
    }
    if (hs->refusal)
        result.body = sq_slice(hs->refusal->body.data, hs->refusal->body.len);
    if (SQ_UNLIKELY(conn->trace)) {
        if (result.body.len)
            sq_ws_trace_body(conn->trace, "body", result.body);
        sq_ws_trace_failed(conn->trace, result.error_code, result.reason);
    }
    conn->hs = NULL;
    sq_ws_conn_drop(conn, false);
    conn->handler->handshake(conn->user, &result);
    sq_ws_hs_free(hs);
}

static void fail_stream(struct sq_ws_conn *conn, int error)
{
    int code = error == -ECONNRESET ? CODE_RESET
               : error == -EPIPE    ? CODE_BROKEN_PIPE
                                    : CODE_GENERIC;
    char *text = sq_xstrdup(sq_stream_error_text(conn->stream));

    fail(conn, &(struct failure){.error = error, .error_code = code, .text = text}, NULL, NULL);
    free(text);
}

static void fail_malformed(struct sq_ws_conn *conn, const char *why)
{
    char text[200];

    snprintf(text, sizeof text, "malformed HTTP response: %s", why);
    fail(conn, &(struct failure){.error = SQ_EPROTO, .error_code = CODE_GENERIC, .text = text},
         NULL, NULL);
}

/* A final response that is no upgrade, with as much of its body as came. */
static void fail_refused(struct sq_ws_conn *conn, int rc, const struct sq_http1_head *response,
                         const struct sq_ws_verdict *verdict)
{
    int status = response->status;
    struct failure f = {.error = rc,
                        .error_code = status >= 400 && status < 600 ? 1000 + status : CODE_GENERIC,
                        .text = verdict->text,
                        .reason = verdict->reason};

    fail(conn, &f, response, verdict);
}

static struct sq_ws_expect expectation(const struct sq_ws_conn *conn)
{
    return (struct sq_ws_expect){.key = conn->hs->key,
                                 .protocols =
                                     sq_slice_str(conn->hs->protocols ? conn->hs->protocols : ""),
                                 .offer = conn->hs->offer,
                                 .lenient = conn->lenient,
                                 .http2 = sq_stream_h2(conn->stream) != NULL};
}

static void body_complete(struct sq_ws_conn *conn)
{
    struct refusal *refusal = conn->hs->refusal;
    struct sq_ws_expect expect = expectation(conn);
    struct sq_ws_verdict verdict;
    int rc = sq_ws_response_check(&expect, &refusal->head, &verdict);

    fail_refused(conn, rc, &refusal->head, &verdict);
}

void sq_ws_hs_timeout(struct sq_ws_conn *conn)
{
    struct failure f = {.error = -ETIMEDOUT, .error_code = CODE_TIMEOUT};
    const struct sq_h2 *h2 = sq_stream_h2(conn->stream);
    bool unsettled = h2 && !sq_h2_settled(h2);
    char *text;

    if (conn->state == SQ_WS_BODY) {
        body_complete(conn);
        return;
    }
    text = sq_stream_text(
        conn->stream, conn->state == SQ_WS_REQUEST && !unsettled ? "write" : "read", "i/o timeout");
    f.text = text;
    f.reason = unsettled ? "http2: the server sent no SETTINGS" : NULL;
    fail(conn, &f, NULL, NULL);
    free(text);
}

/* ---- the response ---- */

static void open_deflate(struct sq_ws_conn *conn, const struct sq_ws_pmd *agreed)
{
    const struct sq_ws_deflate_offer *offer = &conn->hs->deflate;
    struct sq_ws_deflate_options opt = {.agreed = *agreed,
                                        .level = (int8_t)offer->level,
                                        .mem_level = (int8_t)offer->mem_level,
                                        .threshold_bytes = offer->threshold_bytes};

    conn->deflate = sq_xcalloc(1, sizeof *conn->deflate);
    sq_ws_deflate_init(conn->deflate, conn->codec->pool, &opt);
}

/* `rest` is what came behind the head: frames already (HR-10, HR-11). */
static void upgrade(struct sq_ws_conn *conn, const struct sq_http1_head *response,
                    const struct sq_ws_verdict *verdict, struct sq_slice rest)
{
    struct sq_ws_hs *hs = conn->hs;
    struct sq_ws_header headers[SQ_HTTP1_FIELDS_MAX];
    struct sq_ws_handshake result = {.opened = true,
                                     .status = response->status,
                                     .headers = headers,
                                     .headers_count = response->fields_count,
                                     .protocol = verdict->protocol,
                                     .extensions = verdict->extensions,
                                     .remote_ip = hs->remote_ip,
                                     .error_text = "",
                                     .reason = ""};

    for (size_t i = 0; i < response->fields_count; i++)
        headers[i] = (struct sq_ws_header){response->fields[i].name, response->fields[i].value};
    sq_timer_stop(conn->loop, &conn->timer);
    if (verdict->pmd.enabled)
        open_deflate(conn, &verdict->pmd);
    conn->decoder.flags =
        (uint8_t)((conn->deflate ? SQ_WS_RSV1_OK : 0) | (conn->lenient ? SQ_WS_LENIENT : 0));
    conn->state = SQ_WS_OPEN;
    hs->timings.end_ns = sq_now_ns();
    result.timings = hs->timings;
    conn->hs = NULL;
    if (conn->keepalive)
        sq_ws_keepalive_start(conn);
    conn->handler->handshake(conn->user, &result);
    sq_ws_hs_free(hs);
    if (conn->state == SQ_WS_OPEN && rest.len > 0)
        sq_ws_input_bytes(conn, rest);
    /* TLS may hold further bytes, of which the descriptor does not tell. */
    if (conn->state == SQ_WS_OPEN && sq_stream_pending(conn->stream))
        sq_ws_conn_work(conn, SQ_WS_WORK_CONTINUE);
}

static void feed_body(struct sq_ws_conn *conn, struct sq_slice bytes)
{
    struct sq_ws_hs *hs = conn->hs;
    struct sq_http1_body *body = &hs->refusal->body;
    /* HTTP/2 tells the end. */
    bool until_eof = body->framing == SQ_HTTP1_BODY_UNTIL_EOF && !sq_stream_h2(conn->stream);
    int64_t wait_ns = until_eof ? BODY_UNTIL_EOF_WAIT_NS : BODY_WAIT_NS;

    if (sq_http1_body_feed(body, bytes) != 0) {
        body_complete(conn);
        return;
    }
    wait_ns += sq_now_ns();
    sq_timer_start(conn->loop, &conn->timer, SQ_MIN(hs->deadline_ns, wait_ns));
}

/* What *response borrows from stays as long as the handshake. */
static void gather_body(struct sq_ws_conn *conn, const struct sq_http1_head *response,
                        struct sq_slice rest)
{
    struct refusal *refusal = conn->hs->refusal = sq_xcalloc(1, sizeof *refusal);

    refusal->head = *response;
    sq_http1_body_init(&refusal->body, &refusal->head);
    conn->state = SQ_WS_BODY;
    feed_body(conn, rest);
}

/* The head is kept until the body is there; its slices must point to what is kept. */
static void start_body(struct sq_ws_conn *conn, struct sq_slice head, struct sq_slice rest)
{
    struct sq_ws_hs *hs = conn->hs;
    struct sq_http1_head response;

    if (hs->head.len == 0)
        sq_buf_put(&hs->head, head.data, head.len);
    hs->head.len = head.len;
    hs->parser = (struct sq_http1_parser){.kind = SQ_HTTP1_RESPONSE};
    if (sq_http1_parse(&hs->parser, sq_buf_slice(&hs->head), &response) <= 0)
        sq_panic("a response head was complete once and is not twice");
    gather_body(conn, &response, rest);
}

static void judge(struct sq_ws_conn *conn, const struct sq_http1_head *response,
                  struct sq_slice head, struct sq_slice rest)
{
    struct sq_ws_expect expect = expectation(conn);
    struct sq_ws_verdict verdict;
    int rc = sq_ws_response_check(&expect, response, &verdict);

    if (rc == 0)
        upgrade(conn, response, &verdict, rest);
    else if (rc == SQ_EREFUSED)
        start_body(conn, head, rest);
    else
        fail_refused(conn, rc, response, &verdict);
}

static void feed_head(struct sq_ws_conn *conn, struct sq_slice bytes)
{
    struct sq_ws_hs *hs = conn->hs;
    struct sq_http1_head response;

    while (bytes.len > 0) {
        size_t before = hs->head.len;
        struct sq_slice all = bytes;
        size_t used;
        int rc;

        if (before > 0) {
            /* One byte above the limit decides; no more is copied than that. */
            sq_buf_put(&hs->head, bytes.data,
                       SQ_MIN(bytes.len, (size_t)SQ_HTTP1_HEAD_MAX + 1 - before));
            all = sq_buf_slice(&hs->head);
        }
        rc = sq_http1_parse(&hs->parser, all, &response);
        if (rc == 0) {
            if (before == 0)
                sq_buf_put(&hs->head, bytes.data, bytes.len);
            return;
        }
        if (rc < 0) {
            if (SQ_UNLIKELY(conn->trace))
                sq_ws_trace_body(conn->trace, "no HTTP response", all);
            fail_malformed(conn, sq_http1_reason(&hs->parser));
            return;
        }
        used = (size_t)rc - before;
        bytes = sq_slice(bytes.data + used, bytes.len - used);
        if (SQ_UNLIKELY(conn->trace))
            sq_ws_trace_head(conn->trace, SQ_WS_TO_CLIENT, sq_slice(all.data, (size_t)rc));
        if (response.status >= 200 || response.status == 101) {
            judge(conn, &response, sq_slice(all.data, (size_t)rc), bytes);
            return;
        }
        if (++hs->interims > INTERIM_MAX) {
            fail_malformed(conn, "too many 1xx responses");
            return;
        }
        hs->parser = (struct sq_http1_parser){.kind = SQ_HTTP1_RESPONSE};
        hs->head.len = 0;
    }
}

static void feed_eof(struct sq_ws_conn *conn)
{
    if (conn->state == SQ_WS_BODY) {
        body_complete(conn);
        return;
    }
    fail(conn,
         &(struct failure){.error = SQ_EEOF, .error_code = CODE_GENERIC, .text = "unexpected EOF"},
         NULL, NULL);
}

/* As lines, which HTTP/2 does not send. */
static void trace_h2_head(struct sq_ws_conn *conn, const struct sq_http1_head *response)
{
    struct sq_buf lines = {0};

    sq_buf_printf(&lines, ":status: %d\n", response->status);
    for (size_t i = 0; i < response->fields_count; i++) {
        const struct sq_http1_field *field = &response->fields[i];

        sq_buf_put(&lines, field->name.data, field->name.len);
        sq_buf_puts(&lines, ": ");
        sq_buf_put(&lines, field->value.data, field->value.len);
        sq_buf_putc(&lines, '\n');
    }
    sq_ws_trace_head(conn->trace, SQ_WS_TO_CLIENT, sq_buf_slice(&lines));
    sq_buf_deinit(&lines);
}

/* Its body, if it has one, is read like that of HTTP/1. */
static void read_h2_head(struct sq_ws_conn *conn)
{
    struct sq_http1_head response;
    struct sq_ws_expect expect = expectation(conn);
    struct sq_ws_verdict verdict;
    int rc = sq_h2_response(sq_stream_h2(conn->stream), &conn->hs->head, &response);

    if (rc == SQ_EEOF)
        feed_eof(conn);
    else if (rc < 0)
        fail_stream(conn, rc);
    if (rc <= 0)
        return;
    conn->hs->timings.first_byte_ns = sq_now_ns();
    if (SQ_UNLIKELY(conn->trace))
        trace_h2_head(conn, &response);
    rc = sq_ws_response_check(&expect, &response, &verdict);
    if (rc == 0)
        upgrade(conn, &response, &verdict, sq_slice("", 0));
    else if (rc == SQ_EREFUSED)
        gather_body(conn, &response, sq_slice("", 0));
    else
        fail_refused(conn, rc, &response, &verdict);
}

void sq_ws_hs_read(struct sq_ws_conn *conn)
{
    uint8_t *buffer = sq_loop_read_buffer(conn->loop);

    if (conn->state == SQ_WS_RESPONSE && sq_stream_h2(conn->stream)) {
        read_h2_head(conn);
        if (conn->state != SQ_WS_BODY)
            return;
    }

    do {
        ssize_t got = sq_stream_read(conn->stream, buffer, SQ_LOOP_READ_BYTES);

        if (got == 0)
            return;
        if (got < 0) {
            if (got == SQ_EEOF || conn->state == SQ_WS_BODY)
                feed_eof(conn);
            else
                fail_stream(conn, (int)got);
            return;
        }
        if (!conn->hs->timings.first_byte_ns)
            conn->hs->timings.first_byte_ns = sq_now_ns();
        if (conn->state == SQ_WS_BODY)
            feed_body(conn, sq_slice(buffer, (size_t)got));
        else
            feed_head(conn, sq_slice(buffer, (size_t)got));
    } while ((conn->state == SQ_WS_RESPONSE || conn->state == SQ_WS_BODY) &&
             sq_stream_pending(conn->stream));
}

/* ---- the request ---- */

static void request_sent(struct sq_ws_conn *conn)
{
    struct sq_ws_hs *hs = conn->hs;

    sq_buf_deinit(&hs->request);
    sq_buf_deinit(&hs->request_h2);
    hs->timings.request_sent_ns = sq_now_ns();
    conn->state = SQ_WS_RESPONSE;
}

static void write_h2_request(struct sq_ws_conn *conn)
{
    int rc = sq_h2_request(sq_stream_h2(conn->stream), sq_buf_slice(&conn->hs->request_h2));

    if (rc == SQ_EEOF)
        feed_eof(conn);
    else if (rc < 0)
        fail_stream(conn, rc);
    else if (rc > 0)
        request_sent(conn);
}

void sq_ws_hs_write(struct sq_ws_conn *conn)
{
    struct sq_ws_hs *hs = conn->hs;

    if (sq_stream_h2(conn->stream)) {
        write_h2_request(conn);
        return;
    }

    while (hs->request_at < hs->request.len) {
        ssize_t put = sq_stream_write(conn->stream, hs->request.data + hs->request_at,
                                      hs->request.len - hs->request_at);

        if (put < 0) {
            fail_stream(conn, (int)put);
            return;
        }
        if (put == 0)
            return;
        hs->request_at += (size_t)put;
    }
    request_sent(conn);
}

static void dialled(struct sq_ws_conn *conn, const struct sq_dial_result *result)
{
    struct sq_ws_hs *hs = conn->hs;
    struct failure f = {
        .error = result->error, .error_code = result->error_code, .text = result->text};
    int rc;

    hs->dial = NULL;
    hs->timings.dial_start_ns = result->start_ns;
    hs->timings.resolved_ns = result->resolved_ns;
    hs->timings.tcp_ns = result->tcp_ns;
    hs->timings.tls_ns = result->tls_ns;
    if (result->remote_ip)
        snprintf(hs->remote_ip, sizeof hs->remote_ip, "%s", result->remote_ip);
    if (!result->stream) {
        fail(conn, &f, NULL, NULL);
        return;
    }
    conn->stream = result->stream;
    if (hs->request_h2.len > 0 && (!conn->secure || sq_stream_chose_h2(conn->stream))) {
        conn->stream = sq_stream_new_h2(conn->stream, conn->loop);
        conn->secure = true; /* its end is told before the connection's */
    }
    conn->state = SQ_WS_REQUEST;
    if (SQ_UNLIKELY(conn->trace)) {
        sq_ws_trace_connected(conn->trace, conn->stream);
        sq_ws_trace_head(conn->trace, SQ_WS_TO_SERVER,
                         sq_buf_slice(sq_stream_h2(conn->stream) ? &hs->request_h2 : &hs->request));
    }
    sq_timer_start(conn->loop, &conn->timer, hs->deadline_ns);
    sq_ws_hs_write(conn);
    if (conn->state == SQ_WS_DEAD)
        return;
    rc = sq_stream_watch(conn->stream, conn->loop, &conn->io,
                         conn->state == SQ_WS_REQUEST ? SQ_IO_WRITE : SQ_IO_READ);
    if (rc < 0) {
        f = (struct failure){.error = rc, .error_code = CODE_GENERIC, .text = sq_status_text(rc)};
        fail(conn, &f, NULL, NULL);
        return;
    }
    /* Bytes that TLS or a tunnel holds already are not told of by the descriptor. */
    if (conn->state == SQ_WS_RESPONSE && sq_stream_pending(conn->stream))
        sq_ws_hs_read(conn);
}

static void dial_done(void *user, const struct sq_dial_result *result)
{
    struct sq_ws_conn *conn = user;

    sq_ws_conn_enter(conn);
    dialled(conn, result);
    sq_ws_conn_leave(conn);
}

/* ---- the start ---- */

static void refuse(struct sq_ws_conn *conn, int error, int code, char *text)
{
    conn->hs->refuse_error = error;
    conn->hs->refuse_code = code;
    conn->hs->refuse_text = text;
    sq_ws_conn_work(conn, SQ_WS_WORK_REFUSE);
}

void sq_ws_hs_refuse(struct sq_ws_conn *conn)
{
    const struct sq_ws_hs *hs = conn->hs;

    if (!hs || conn->released)
        return;
    fail(conn,
         &(struct failure){
             .error = hs->refuse_error, .error_code = hs->refuse_code, .text = hs->refuse_text},
         NULL, NULL);
}

static int build_request(struct sq_ws_conn *conn, const struct sq_ws_open *request,
                         struct sq_error *err)
{
    struct sq_ws_hs *hs = conn->hs;
    struct sq_http1_field *fields = sq_xcalloc(request->headers_count + 1, sizeof *fields);
    struct sq_ws_request build = {.url = &hs->url,
                                  .key = hs->key,
                                  .headers = fields,
                                  .headers_count = request->headers_count,
                                  .user_agent = request->user_agent,
                                  .cookie = request->cookie,
                                  .offer = hs->offer};
    struct sq_slice protocols;
    int rc;

    for (size_t i = 0; i < request->headers_count; i++)
        fields[i] = (struct sq_http1_field){request->headers[i].name, request->headers[i].value};
    protocols = sq_ws_request_protocols(fields, request->headers_count);
    if (protocols.len)
        hs->protocols = sq_xstrndup((const char *)protocols.data, protocols.len);
    rc = sq_ws_request_build(&build, &hs->request, err);
    build.http2 = true;
    if (rc == 0 && request->http2)
        rc = sq_ws_request_build(&build, &hs->request_h2, err);
    free(fields);
    return rc;
}

static void start_dial(struct sq_ws_conn *conn)
{
    struct sq_ws_hs *hs = conn->hs;
    struct sq_dial_request dial = {.host = sq_slice_str(hs->url.host),
                                   .port = hs->url.port,
                                   .secure = hs->url.secure,
                                   .http2 = hs->request_h2.len > 0,
                                   .vu_id = hs->vu_id,
                                   .deadline_ns = hs->deadline_ns,
                                   .counters = hs->counters};

    hs->dial = sq_dial_start(conn->codec->net, &dial, dial_done, conn);
}

void sq_ws_hs_start(struct sq_ws_conn *conn, const struct sq_ws_open *request)
{
    struct sq_ws_hs *hs = conn->hs = sq_xcalloc(1, sizeof *hs);
    const struct sq_ws_deflate_offer *deflate = &request->deflate;
    int64_t timeout_ns =
        request->handshake_timeout_ns ? request->handshake_timeout_ns : 60 * SQ_NS_PER_S;
    struct sq_error err = {0};
    int rc;

    hs->timings.dial_start_ns = sq_now_ns();
    hs->deadline_ns = hs->timings.dial_start_ns + timeout_ns;
    hs->parser.kind = SQ_HTTP1_RESPONSE;
    hs->counters = request->counters;
    hs->vu_id = request->vu_id;
    hs->deflate = *deflate;
    hs->offer =
        (struct sq_ws_pmd){.enabled = deflate->offer,
                           .server_no_context_takeover = deflate->server_no_context_takeover,
                           .client_no_context_takeover = deflate->client_no_context_takeover,
                           .server_max_window_bits = deflate->server_max_window_bits,
                           .client_max_window_bits = deflate->client_max_window_bits};
    rc = sq_url_parse(request->url, request->url_flags, &hs->url, &err);
    if (rc < 0) {
        hs->url.store = NULL;
        refuse(conn, rc, CODE_URL, sq_xstrdup(err.text));
        return;
    }
    conn->secure = hs->url.secure;
    sq_ws_key_new(hs->key);
    rc = build_request(conn, request, &err);
    if (rc < 0) {
        refuse(conn, rc, CODE_GENERIC, sq_xstrdup(err.text));
        return;
    }
    if (hs->url.port_invalid) {
        const char *port = strrchr(hs->url.host_header, ':');

        refuse(conn, SQ_EINVALID, CODE_DIAL,
               sq_xasprintf("dial tcp: address %s: invalid port", port ? port + 1 : "?"));
        return;
    }
    start_dial(conn);
}
