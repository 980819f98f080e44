/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ws_trace.h"

#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "net/stream_private.h"
#include "proto/ws/close.h"
#include "proto/ws/frame.h"
#include "proto/ws/utf8.h"

enum {
    PREVIEW_CHARACTERS = 60,
    PREVIEW_BYTES = 4 * PREVIEW_CHARACTERS, /* as many as these can take */
    PREVIEW_BINARY_BYTES = 16,
    LINE_CHARACTERS = 100, /* of a payload that is shown whole */
    LINE_BINARY_BYTES = 32,
};

struct sq_ws_trace {
    struct sq_ws_trace_options options;
    int64_t start_ns;
    struct sq_slice plain;    /* of the frames that are being sent */
    struct sq_ws_frame frame; /* coming in */
    struct sq_buf payload;    /* of it, as much as is shown */
    uint8_t opcode;           /* of the message it belongs to */
    uint8_t opcode_out;       /* of the message that is being sent */
    bool waits_for_message;
};

struct sq_ws_trace *sq_ws_trace_new(const struct sq_ws_trace_options *options)
{
    struct sq_ws_trace *trace = sq_xcalloc(1, sizeof *trace);

    trace->options = *options;
    trace->start_ns = sq_now_ns();
    return trace;
}

void sq_ws_trace_free(struct sq_ws_trace *trace)
{
    if (!trace)
        return;
    sq_buf_deinit(&trace->payload);
    free(trace);
}

/* ---- lines ---- */

static void begin(const struct sq_ws_trace *trace, struct sq_buf *line, const char *mark)
{
    line->len = 0;
    sq_buf_printf(line, "vu %u iter %llu socket %u +%.3fms %s ", trace->options.vu,
                  (unsigned long long)trace->options.iteration, trace->options.socket,
                  (double)(sq_now_ns() - trace->start_ns) / SQ_NS_PER_MS, mark);
}

static void end(struct sq_buf *line)
{
    sq_log_line(SQ_LOG_INFO, sq_buf_cstr(line), line->len, "ws-debug", NULL);
}

static const char *arrow(enum sq_ws_way way)
{
    return way == SQ_WS_TO_SERVER ? "->" : "<-";
}

void sq_ws_trace_note(struct sq_ws_trace *trace, const char *fmt, ...)
{
    struct sq_buf line = {0};
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    begin(trace, &line, "--");
    sq_buf_puts(&line, text);
    end(&line);
    sq_buf_deinit(&line);
}

/* ---- the handshake ---- */

/* Who reads a log must not learn what opens doors. */
static bool is_secret(struct sq_slice name)
{
    static const char *const names[] = {"authorization", "proxy-authorization", "cookie",
                                        "set-cookie",    "x-api-key",           "x-auth-token"};

    for (size_t i = 0; i < SQ_COUNT(names); i++)
        if (sq_ascii_eq_nocase(name, sq_slice_str(names[i])))
            return true;
    return false;
}

/* Control characters would move the reader's cursor; the rest stays as it came. */
static void put_plain(struct sq_buf *out, struct sq_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            sq_buf_printf(out, "\\x%02x", text.data[i]);
        else
            sq_buf_putc(out, (char)text.data[i]);
}

void sq_ws_trace_hide_userinfo(struct sq_buf *out, struct sq_slice text)
{
    while (text.len > 0) {
        const uint8_t *host = memmem(text.data, text.len, "://", 3);
        const uint8_t *stop = text.data + text.len, *at = NULL;

        if (!host) {
            put_plain(out, text);
            return;
        }
        host += 3;
        for (const uint8_t *p = host; p < stop && !strchr("/?# ", *p); p++)
            if (*p == '@')
                at = p;
        put_plain(out, sq_slice(text.data, (size_t)(host - text.data)));
        if (at) {
            sq_buf_puts(out, "***");
            host = at;
        }
        text = sq_slice(host, (size_t)(stop - host));
    }
}

static void put_head_line(const struct sq_ws_trace *trace, struct sq_buf *out, struct sq_slice line)
{
    const uint8_t *colon = memchr(line.data, ':', line.len);
    struct sq_slice name = sq_slice(line.data, colon ? (size_t)(colon - line.data) : 0);

    if (trace->options.full) {
        put_plain(out, line);
    } else if (colon && is_secret(sq_slice_trim(name))) {
        put_plain(out, name);
        sq_buf_puts(out, ": ***");
    } else {
        sq_ws_trace_hide_userinfo(out, line);
    }
}

void sq_ws_trace_url(struct sq_ws_trace *trace, struct sq_slice url)
{
    struct sq_buf line = {0};

    begin(trace, &line, "--");
    sq_buf_puts(&line, "connecting to ");
    if (trace->options.full)
        put_plain(&line, url);
    else
        sq_ws_trace_hide_userinfo(&line, url);
    end(&line);
    sq_buf_deinit(&line);
}

void sq_ws_trace_head(struct sq_ws_trace *trace, enum sq_ws_way way, struct sq_slice head)
{
    struct sq_buf line = {0};

    while (head.len > 0) {
        const uint8_t *newline = memchr(head.data, '\n', head.len);
        size_t used = newline ? (size_t)(newline - head.data) + 1 : head.len;
        size_t len = newline ? used - 1 : used;

        if (len > 0 && head.data[len - 1] == '\r')
            len--;
        if (len > 0) {
            begin(trace, &line, arrow(way));
            put_head_line(trace, &line, sq_slice(head.data, len));
            end(&line);
        }
        head = sq_slice(head.data + used, head.len - used);
    }
    sq_buf_deinit(&line);
}

static void tls_line(struct sq_ws_trace *trace, const SSL *ssl)
{
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    char subject[256] = "none";
    X509 *certificate = SSL_get1_peer_certificate(ssl);

    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    if (certificate)
        X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
    X509_free(certificate);
    sq_ws_trace_note(trace, "%s, %s, ALPN %.*s, certificate %s", SSL_get_version(ssl),
                     SSL_get_cipher_name(ssl), alpn_len ? (int)alpn_len : 4,
                     alpn_len ? (const char *)alpn : "none", subject);
}

void sq_ws_trace_connected(struct sq_ws_trace *trace, const struct sq_stream *stream)
{
    const struct sq_stream *tcp = stream, *tls = stream;

    while (tcp->lower)
        tcp = tcp->lower;
    sq_ws_trace_note(trace, "connected to %s port %u", tcp->remote_ip, tcp->remote_port);
    while (tls && !tls->ssl) /* under HTTP/2; the nearest: not that of a proxy */
        tls = tls->lower;
    if (tls)
        tls_line(trace, tls->ssl);
}

void sq_ws_trace_failed(struct sq_ws_trace *trace, int error_code, const char *why)
{
    sq_ws_trace_note(trace, "handshake failed: %s (error_code %d)", why, error_code);
}

/* ---- payloads ---- */

/* Bytes of the character at the front, 0 when it is none. */
static size_t character(struct sq_slice text)
{
    struct sq_ws_utf8 state = {0};

    if (text.data[0] < 0x80)
        return 1;
    for (size_t len = 2; len <= 4 && len <= text.len; len++) {
        state = (struct sq_ws_utf8){0};
        if (sq_ws_utf8_feed(&state, text.data, len) == 0 && sq_ws_utf8_end(&state) == 0)
            return len;
    }
    return 0;
}

/* At most `most` characters; returns the bytes they took. */
static size_t put_text(struct sq_buf *out, struct sq_slice text, size_t most)
{
    size_t at = 0;

    for (size_t n = 0; n < most && at < text.len; n++) {
        size_t len = character(sq_slice(text.data + at, text.len - at));
        uint8_t c = text.data[at];

        if (c == '\n' || c == '\r' || c == '\t')
            sq_buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (len == 0 || c < 0x20 || c == 0x7f)
            sq_buf_printf(out, "\\x%02x", c);
        else
            sq_buf_put(out, text.data + at, len);
        at += len ? len : 1;
    }
    return at;
}

static size_t put_hex(struct sq_buf *out, struct sq_slice bytes, size_t most)
{
    size_t len = SQ_MIN(bytes.len, most);

    for (size_t i = 0; i < len; i++)
        sq_buf_printf(out, "%s%02x", i ? " " : "", bytes.data[i]);
    return len;
}

struct shown {
    enum sq_ws_way way;
    bool text;
    struct sq_slice bytes; /* what there is of it */
    uint64_t len;          /* of the whole */
};

/* Behind the frame's own words: a preview, or everything on lines of its own. */
static void put_payload(const struct sq_ws_trace *trace, struct sq_buf *line,
                        const struct shown *what)
{
    bool full = trace->options.full;
    struct sq_slice rest = what->bytes;
    size_t most = what->text ? (full ? LINE_CHARACTERS : PREVIEW_CHARACTERS)
                             : (full ? LINE_BINARY_BYTES : PREVIEW_BINARY_BYTES);
    size_t (*put)(struct sq_buf *, struct sq_slice, size_t) = what->text ? put_text : put_hex;

    if (what->len == 0) {
        end(line);
        return;
    }
    sq_buf_puts(line, ": ");
    for (;;) {
        size_t used = put(line, rest, most);

        rest = sq_slice(rest.data + used, rest.len - used);
        if (!full && used < what->len)
            sq_buf_puts(line, what->text ? "\xe2\x80\xa6" : " \xe2\x80\xa6");
        end(line);
        if (!full || rest.len == 0)
            return;
        begin(trace, line, arrow(what->way));
        sq_buf_puts(line, "  ");
    }
}

void sq_ws_trace_body(struct sq_ws_trace *trace, const char *what, struct sq_slice bytes)
{
    struct sq_buf line = {0};
    struct shown shown = {.way = SQ_WS_TO_CLIENT, .text = true, .bytes = bytes, .len = bytes.len};

    begin(trace, &line, "<-");
    sq_buf_printf(&line, "%s, %zu bytes", what, bytes.len);
    put_payload(trace, &line, &shown);
    sq_buf_deinit(&line);
}

static void put_close(struct sq_buf *line, struct sq_slice payload)
{
    struct sq_ws_close close;

    if (payload.len == 1) {
        sq_buf_puts(line, ": one byte");
        return;
    }
    if (payload.len == 0) {
        sq_buf_puts(line, ": no code");
        return;
    }
    (void)!sq_ws_close_parse(payload, &close);
    sq_buf_printf(line, ": code %u", close.code);
    if (sq_ws_close_name(close.code))
        sq_buf_printf(line, " (%s)", sq_ws_close_name(close.code));
    if (payload.len > 2) {
        sq_buf_puts(line, ", reason ");
        put_text(line, sq_slice(payload.data + 2, payload.len - 2), SIZE_MAX);
    }
}

/* ---- frames ---- */

static const char *opcode_name(uint8_t opcode)
{
    static const char *const names[16] = {
        [SQ_WS_OP_CONTINUATION] = "CONTINUATION",
        [SQ_WS_OP_TEXT] = "TEXT",
        [SQ_WS_OP_BINARY] = "BINARY",
        [SQ_WS_OP_CLOSE] = "CLOSE",
        [SQ_WS_OP_PING] = "PING",
        [SQ_WS_OP_PONG] = "PONG",
    };

    return names[opcode & 15] ? names[opcode & 15] : "RESERVED";
}

/* Text that every reader would call so. */
static bool is_printable(struct sq_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.data[i] < 0x20 || bytes.data[i] > 0x7e)
            return false;
    return true;
}

struct seen {
    enum sq_ws_way way;
    const struct sq_ws_frame *frame;
    uint8_t opcode;          /* of the message */
    struct sq_slice payload; /* what there is of it, plain if `inflated` */
    bool inflated;
    uint64_t plain_len;
};

static void put_frame(const struct sq_ws_trace *trace, const struct seen *s)
{
    const struct sq_ws_frame *frame = s->frame;
    struct sq_buf line = {0};
    struct shown what = {.way = s->way, .bytes = s->payload, .len = frame->len};

    begin(trace, &line, arrow(s->way));
    sq_buf_printf(&line, "%s%s%s", opcode_name(frame->opcode), frame->fin ? " FIN" : "",
                  frame->rsv1 ? " RSV1" : "");
    if (s->inflated) {
        sq_buf_printf(&line, " %llu bytes (message of %llu compressed)",
                      (unsigned long long)frame->len, (unsigned long long)s->plain_len);
        what.len = s->plain_len;
    } else {
        sq_buf_printf(&line, " %llu bytes", (unsigned long long)frame->len);
    }
    if (frame->opcode == SQ_WS_OP_CLOSE) {
        put_close(&line, s->payload);
        end(&line);
    } else {
        what.text = sq_ws_opcode_is_control(frame->opcode)
                        ? is_printable(s->payload)
                        : s->opcode == SQ_WS_OP_TEXT && (s->inflated || !frame->rsv1);
        put_payload(trace, &line, &what);
    }
    sq_buf_deinit(&line);
}

void sq_ws_trace_plain(struct sq_ws_trace *trace, struct sq_slice plain)
{
    trace->plain = plain;
}

void sq_ws_trace_sent(struct sq_ws_trace *trace, const struct sq_ws_frame *frame, const void *data)
{
    struct seen s = {.way = SQ_WS_TO_SERVER,
                     .frame = frame,
                     .opcode = frame->opcode,
                     .payload = sq_slice(data, (size_t)frame->len)};

    if (!sq_ws_opcode_is_control(frame->opcode)) {
        if (frame->opcode != SQ_WS_OP_CONTINUATION)
            /* The rest of a compressed message is nothing that could be read. */
            trace->opcode_out = frame->rsv1 && !frame->fin ? SQ_WS_OP_BINARY : frame->opcode;
        s.opcode = frame->rsv1 ? frame->opcode : trace->opcode_out;
    }
    if (frame->rsv1 && trace->plain.data) {
        s.inflated = true;
        s.payload = trace->plain;
        s.plain_len = trace->plain.len;
    }
    put_frame(trace, &s);
}

/* What waited for a message that did not come: it could not be inflated. */
static void settle(struct sq_ws_trace *trace)
{
    struct seen s = {.way = SQ_WS_TO_CLIENT,
                     .frame = &trace->frame,
                     .opcode = SQ_WS_OP_BINARY,
                     .payload = sq_buf_slice(&trace->payload)};

    if (!trace->waits_for_message)
        return;
    trace->waits_for_message = false;
    put_frame(trace, &s);
}

void sq_ws_trace_header(struct sq_ws_trace *trace, const struct sq_ws_frame *frame)
{
    settle(trace);
    trace->frame = *frame;
    trace->payload.len = 0;
    if (!sq_ws_opcode_is_control(frame->opcode) && frame->opcode != SQ_WS_OP_CONTINUATION)
        trace->opcode = frame->rsv1 ? SQ_WS_OP_BINARY : frame->opcode;
}

void sq_ws_trace_payload(struct sq_ws_trace *trace, struct sq_slice piece)
{
    size_t room = PREVIEW_BYTES;

    if (!trace->options.full)
        piece.len = SQ_MIN(piece.len, room - SQ_MIN(room, trace->payload.len));
    /* What there is no memory for is not shown. */
    if (piece.len)
        (void)!sq_buf_append(&trace->payload, piece.data, piece.len);
}

void sq_ws_trace_frame_end(struct sq_ws_trace *trace, bool inflates)
{
    struct seen s = {.way = SQ_WS_TO_CLIENT,
                     .frame = &trace->frame,
                     .opcode = trace->opcode,
                     .payload = sq_buf_slice(&trace->payload)};

    if (inflates)
        trace->waits_for_message = true;
    else
        put_frame(trace, &s);
    /* A large frame's payload is not kept until the next. */
    if (!inflates && trace->payload.cap > 4096)
        sq_buf_deinit(&trace->payload);
}

void sq_ws_trace_message(struct sq_ws_trace *trace, bool text, struct sq_slice plain)
{
    struct seen s = {.way = SQ_WS_TO_CLIENT,
                     .frame = &trace->frame,
                     .opcode = text ? SQ_WS_OP_TEXT : SQ_WS_OP_BINARY,
                     .payload = plain,
                     .inflated = true,
                     .plain_len = plain.len};

    if (!trace->waits_for_message)
        return;
    trace->waits_for_message = false;
    put_frame(trace, &s);
}

void sq_ws_trace_ignored(struct sq_ws_trace *trace, struct sq_slice bytes)
{
    struct sq_buf line = {0};
    struct shown what = {.way = SQ_WS_TO_CLIENT, .bytes = bytes, .len = bytes.len};

    settle(trace);
    begin(trace, &line, "<-");
    sq_buf_printf(&line, "%zu bytes, not decoded any more", bytes.len);
    put_payload(trace, &line, &what);
    sq_buf_deinit(&line);
}
