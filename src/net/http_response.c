/* SPDX-License-Identifier: Apache-2.0 */
/* What libcurl hands us of a response, and what becomes of it: head, body, timings, and errors in
 * the words and codes of MET-38. */
#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/http_private.h"
#include "net/stream_private.h"
#include "net/tls.h"

enum { HEAD_BYTES_MAX = 1024 * 1024 };

/* ---- as it comes ---- */

static void take_status_line(struct sq_http_transfer *t, const char *line, size_t len)
{
    char *text = sq_xstrndup(line, len);
    char *status = strchr(text, ' ');

    t->head.len = 0;
    t->body.len = 0;
    sq_content_decoder_free(t->decoder);
    t->decoder = NULL;
    free(t->length);
    t->length = NULL;
    t->head_over = false;
    t->result.headers_count = 0;
    t->result.status = 0;
    if (status) {
        *status++ = '\0';
        while (*status == ' ')
            status++;
        t->result.status = atoi(status);
        if (t->result.status >= 200)
            t->round.first_ns = sq_now_ns();
        snprintf(t->proto, sizeof t->proto, "%s", strcmp(text, "HTTP/2") == 0 ? "HTTP/2.0" : text);
        const char *rest = strchr(status, ' ');
        while (rest && *rest == ' ')
            rest++;
        const char *known = sq_http_status_words(t->result.status);
        const char *reason = rest && *rest ? rest : text[5] == '2' ? known : "";
        snprintf(t->status_text, sizeof t->status_text, "%03d%s%s", t->result.status,
                 *reason ? " " : "", reason);
    }
    free(text);
}

static void read_tls(struct sq_http_transfer *t)
{
    struct curl_tlssessioninfo *session = NULL;
    static const char *const names[][2] = {
        {"TLSv1.3", "tls1.3"}, {"TLSv1.2", "tls1.2"}, {"TLSv1.1", "tls1.1"}, {"TLSv1", "tls1.0"}};

    if (!t->parsed.secure ||
        t->net->http->curl.easy_getinfo(t->easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK ||
        !session || session->backend != CURLSSLBACKEND_OPENSSL || !session->internals)
        return;
    const SSL *ssl = session->internals;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *version = SSL_get_version(ssl);
    const char *suite = cipher ? SSL_CIPHER_standard_name(cipher) : NULL;
    for (size_t i = 0; i < SQ_COUNT(names); i++)
        if (strcmp(version, names[i][0]) == 0)
            snprintf(t->tls_version, sizeof t->tls_version, "%s", names[i][1]);
    snprintf(t->tls_cipher, sizeof t->tls_cipher, "%s", suite ? suite : "");
}

static int keep_body(void *user, const void *data, size_t len)
{
    struct sq_http_transfer *t = user;

    return sq_buf_append(&t->body, data, len);
}

/* False: the response cannot be trusted. */
static bool note_header(struct sq_http_transfer *t, struct sq_slice name, struct sq_slice value)
{
    if (sq_ascii_eq_nocase(name, sq_slice_str("Content-Encoding")) && !t->decoder &&
        !t->discard_body)
        t->decoder = sq_content_decoder_new(value, keep_body, t);
    if (!sq_ascii_eq_nocase(name, sq_slice_str("Content-Length")))
        return true;
    /* RFC 9112 6.3: different lengths, different readers, different bodies. */
    t->two_lengths = t->length && !sq_slice_eq(sq_slice_str(t->length), value);
    if (!t->length)
        t->length = sq_xstrndup((const char *)value.data, value.len);
    return !t->two_lengths;
}

/* One line at a time. Trailers, which come behind the blank line, are dropped. */
size_t sq_http_on_header(char *data, size_t size, size_t count, void *user)
{
    struct sq_http_transfer *t = user;
    size_t whole = size * count;
    struct sq_slice line = sq_slice(data, whole);
    bool begins = whole > 5 && memcmp(data, "HTTP/", 5) == 0;

    if (!begins)
        t->round.heard_ns = sq_now_ns();
    while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (begins) {
        take_status_line(t, (const char *)line.data, line.len);
        return whole;
    }
    if (t->head_over)
        return whole;
    if (line.len == 0) {
        t->head_over = true;
        read_tls(t);
        return whole;
    }
    const uint8_t *colon = memchr(line.data, ':', line.len);
    if (!colon || colon == line.data || memchr(line.data, 0, line.len))
        return whole;
    size_t name_len = (size_t)(colon - line.data);
    struct sq_slice value = sq_slice_trim(sq_slice(colon + 1, line.len - name_len - 1));
    if (t->head.len + line.len > HEAD_BYTES_MAX)
        return 0;
    if (!note_header(t, sq_slice(line.data, name_len), value))
        return 0;
    sq_buf_put(&t->head, line.data, name_len);
    sq_buf_putc(&t->head, '\0');
    sq_buf_put(&t->head, value.data, value.len);
    sq_buf_putc(&t->head, '\0');
    t->result.headers_count++;
    return whole;
}

size_t sq_http_on_body(char *data, size_t size, size_t count, void *user)
{
    struct sq_http_transfer *t = user;
    size_t whole = size * count;

    t->round.heard_ns = sq_now_ns();
    if (t->discard_body)
        return whole;
    int rc = t->decoder ? sq_content_decoder_feed(t->decoder, data, whole, &t->coding_error)
                        : keep_body(t, data, whole);
    return rc < 0 ? 0 : whole;
}

/* ---- errors ---- */

const char *sq_http_short_words(int code)
{
    switch (code) {
    case SQ_HTTP_CODE_TIMEOUT:
        return "request timeout";
    case SQ_HTTP_CODE_NO_HOST:
        return "lookup: no such host";
    case SQ_HTTP_CODE_BROKEN_PIPE:
        return "write: broken pipe";
    case SQ_HTTP_CODE_DIAL_TIMEOUT:
        return "dial: i/o timeout";
    case SQ_HTTP_CODE_REFUSED:
        return "dial: connection refused";
    case SQ_HTTP_CODE_RESET:
        return "read: connection reset by peer";
    case SQ_HTTP_CODE_AUTHORITY:
        return "x509: unknown authority";
    case SQ_HTTP_CODE_NAME:
        return "x509: certificate doesn't match hostname";
    default:
        return NULL;
    }
}

void sq_http_set_error(struct sq_http_transfer *t, int code, char *text)
{
    struct sq_http_result *r = &t->result;
    const char *words = sq_http_short_words(code);

    free(t->text);
    t->text = text;
    r->error_code = code;
    r->text = text;
    r->error = words ? words : text;
    r->status = 0;
    r->status_text = r->headers = "";
    r->headers_count = 0;
    r->proto = "";
    r->body = (struct sq_slice){0};
}

/* ---- the end ---- */

static curl_off_t info_ns(struct sq_http_transfer *t, CURLINFO info)
{
    curl_off_t us = 0;

    t->net->http->curl.easy_getinfo(t->easy, info, &us);
    return us * SQ_NS_PER_US;
}

static long info_long(struct sq_http_transfer *t, CURLINFO info)
{
    long value = 0;

    t->net->http->curl.easy_getinfo(t->easy, info, &value);
    return value;
}

/* Since libcurl began; 0: it did not happen. */
static int64_t since_start(const struct sq_http_transfer *t, int64_t at_ns)
{
    return at_ns ? SQ_MAX(at_ns - t->curl_start_ns, INT64_C(0)) : 0;
}

void sq_http_next_round(struct sq_http_transfer *t)
{
    size_t i = t->result.challenges_count;

    if (t->result.status >= 200 && i < SQ_HTTP_CHALLENGES_MAX) {
        t->result.challenges[i].status = t->result.status;
        t->rounds[i] = t->round;
        t->result.challenges_count++;
    }
    t->round = (struct sq_http_round){.ready_ns = sq_now_ns()};
}

/* When an answer begins and when the request is out libcurl does not tell as k6 does: its
 * STARTTRANSFER is the first byte in either direction. */
static void share_time(const struct sq_http_transfer *t, const struct sq_http_round *round,
                       int64_t end, struct sq_http_timings *m)
{
    int64_t ready = since_start(t, round->ready_ns), first = since_start(t, round->first_ns);
    int64_t sent = since_start(t, round->sent_ns);

    end = SQ_MAX(SQ_MAX(end, first), ready);
    int64_t answer = first ? SQ_MAX(first, ready) : end;
    if (!sent)
        sent = t->request_body_len && !first ? end : ready; /* cut while it was sent */
    sent = SQ_MIN(SQ_MAX(sent, ready), answer);
    m->sending = sent - ready;
    m->waiting = answer - sent;
    m->receiving = end - answer;
}

void sq_http_read_timings(struct sq_http_transfer *t)
{
    size_t challenges = t->result.challenges_count;
    const struct sq_http_round *first = challenges ? &t->rounds[0] : &t->round;
    /* The connection was made for the first round. */
    struct sq_http_timings *m = challenges ? &t->result.challenges[0].timings : &t->result.timings;
    int64_t lookup = info_ns(t, CURLINFO_NAMELOOKUP_TIME_T);
    int64_t connect = info_ns(t, CURLINFO_CONNECT_TIME_T);
    int64_t tls = info_ns(t, CURLINFO_APPCONNECT_TIME_T);

    if (info_long(t, CURLINFO_NUM_CONNECTS) > 0) {
        m->looking_up = t->resolved_ns - t->start_ns;
        m->connecting = SQ_MAX(connect - lookup, INT64_C(0));
        m->tls_handshaking = tls > connect ? tls - connect : 0;
    }
    if (!first->ready_ns)
        return; /* nothing was sent */
    m->blocked = t->resolved_ns - t->start_ns + since_start(t, first->ready_ns);
    for (size_t i = 0; i < challenges; i++)
        share_time(t, &t->rounds[i], since_start(t, t->rounds[i].heard_ns),
                   &t->result.challenges[i].timings);
    share_time(t, &t->round, since_start(t, sq_now_ns()), &t->result.timings);
}

void sq_http_read_peer(struct sq_http_transfer *t)
{
    char *ip = NULL;

    t->net->http->curl.easy_getinfo(t->easy, CURLINFO_PRIMARY_IP, &ip);
    snprintf(t->remote_ip, sizeof t->remote_ip, "%s", ip ? ip : "");
    t->result.remote_port = (int)info_long(t, CURLINFO_PRIMARY_PORT);
}

static void connect_failed(struct sq_http_transfer *t)
{
    int error = (int)info_long(t, CURLINFO_OS_ERRNO);
    char words[128];
    int code = error == ECONNREFUSED ? SQ_HTTP_CODE_REFUSED
               : error == ETIMEDOUT  ? SQ_HTTP_CODE_DIAL_TIMEOUT
               : error == ECONNRESET ? SQ_HTTP_CODE_RESET
               : error               ? SQ_HTTP_CODE_DIAL_ERRNO
                                     : SQ_HTTP_CODE_DIAL;

    sq_errno_text(error, words);
    const char *why = error ? words : t->error_buffer;
    bool v6 = strchr(t->remote_ip, ':') != NULL;
    if (*t->remote_ip)
        sq_http_set_error(t, code,
                          sq_xasprintf("dial tcp %s%s%s:%d: connect: %s", v6 ? "[" : "",
                                       t->remote_ip, v6 ? "]" : "", t->result.remote_port, why));
    else
        sq_http_set_error(t, code,
                          sq_xasprintf("dial tcp %s:%u: %s", t->host, t->parsed.port, why));
}

static void tls_failed(struct sq_http_transfer *t, const char *words)
{
    int code = SQ_HTTP_CODE_TLS;
    char *note = t->net->tls ? sq_tls_take_note(t->net->tls, &code) : NULL;

    if (!note) {
        note = t->text;
        t->text = NULL;
    }

    if (!note && (strstr(words, "wrong version number") || strstr(words, "http request") ||
                  strstr(words, "packet length too long")))
        sq_http_set_error(t, SQ_HTTP_CODE_NOT_TLS,
                          sq_xstrdup("tls: first record does not look like a TLS handshake"));
    else
        sq_http_set_error(t, code, note ? note : sq_xasprintf("tls: %s", words));
}

static void stream_failed(struct sq_http_transfer *t, const char *words, int otherwise)
{
    /* CURLINFO_OS_ERRNO may be left from another transfer of the handle. */
    /* "select/poll": libcurl's word for a reset that is there before it reads. */
    if (strstr(words, "onnection reset") || strstr(words, "select/poll"))
        sq_http_set_error(t, SQ_HTTP_CODE_RESET, sq_xasprintf("read: connection reset by peer"));
    else if (strstr(words, "roken pipe"))
        sq_http_set_error(t, SQ_HTTP_CODE_BROKEN_PIPE, sq_xstrdup("write: broken pipe"));
    else if (strstr(words, "chunked"))
        sq_http_set_error(t, SQ_HTTP_CODE_GENERIC,
                          sq_xasprintf("malformed chunked encoding: %s", words));
    else
        sq_http_set_error(t, otherwise, sq_xstrdup(words));
}

/* 1630 and the error's number + 1 for a stream, 1650 for a connection. */
static void http2_failed(struct sq_http_transfer *t, bool stream, const char *words)
{
    enum { NUMBERS = 19 };
    const char *at = strstr(words, "(err ");
    int number = at ? atoi(at + strlen("(err ")) : -1;
    int code = stream ? SQ_HTTP_CODE_HTTP2_STREAM : SQ_HTTP_CODE_HTTP2_CONNECTION;

    if (number >= 0 && number < NUMBERS)
        code += 1 + number;
    sq_http_set_error(t, code, sq_xasprintf("http2: %s", words));
}

int sq_http_on_debug(CURL *easy, curl_infotype type, char *data, size_t len, void *user)
{
    struct sq_http_transfer *t = user;
    struct sq_buf *to = type == CURLINFO_HEADER_OUT  ? &t->sent_head
                        : type == CURLINFO_HEADER_IN ? &t->received_head
                                                     : NULL;

    (void)easy;
    if (to && to->len + len <= HEAD_BYTES_MAX)
        sq_buf_put(to, data, len);
    return 0;
}

static void decoding_failed(struct sq_http_transfer *t)
{
    sq_http_set_error(t, SQ_HTTP_CODE_DECOMPRESSION,
                      sq_xasprintf("error decompressing response body (%s)", t->coding_error.text));
}

static void too_large(struct sq_http_transfer *t)
{
    sq_http_set_error(t, SQ_HTTP_CODE_GENERIC,
                      sq_xstrdup(t->head_over ? "the response is too large: above 1 GiB"
                                              : "the head of the response is too large: above 300 "
                                                "KB, or a line above 100 KB"));
}

static void explain(struct sq_http_transfer *t, CURLcode rc)
{
    const char *words = *t->error_buffer ? t->error_buffer : t->net->http->curl.easy_strerror(rc);

    switch (rc) {
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9, which is how it reads anything else */
    case CURLE_WEIRD_SERVER_REPLY:
        sq_http_set_error(t, SQ_HTTP_CODE_GENERIC,
                          sq_xasprintf("malformed HTTP response: %s", words));
        return;
    case CURLE_URL_MALFORMAT:
        sq_http_set_error(t, SQ_HTTP_CODE_URL, sq_xasprintf("invalid URL: %s", words));
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        sq_http_set_error(t, SQ_HTTP_CODE_NO_HOST,
                          sq_xasprintf("lookup %s: no such host", t->host));
        return;
    case CURLE_COULDNT_CONNECT:
        connect_failed(t);
        return;
    case CURLE_OPERATION_TIMEDOUT: /* our own limit is the deadline: this one is of connecting */
        sq_http_set_error(t, SQ_HTTP_CODE_DIAL_TIMEOUT,
                          sq_xasprintf("dial tcp %s:%u: i/o timeout", t->host, t->parsed.port));
        return;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_INITFAILED:
        tls_failed(t, words);
        return;
    case CURLE_GOT_NOTHING:
        stream_failed(t, "EOF", SQ_HTTP_CODE_GENERIC);
        return;
    case CURLE_PARTIAL_FILE:
        stream_failed(t, "unexpected EOF", SQ_HTTP_CODE_GENERIC);
        return;
    case CURLE_OUT_OF_MEMORY: /* also a line above its 100 KB */
        too_large(t);
        return;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        if (strstr(words, "Too large response headers")) {
            too_large(t);
            return;
        }
        stream_failed(t, words, SQ_HTTP_CODE_TCP);
        return;
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        http2_failed(t, rc == CURLE_HTTP2_STREAM, words);
        return;
    case CURLE_WRITE_ERROR:
        if (t->coding_error.code) {
            decoding_failed(t);
            return;
        }
        if (t->two_lengths)
            sq_http_set_error(t, SQ_HTTP_CODE_GENERIC,
                              sq_xstrdup("malformed HTTP response: Content-Length twice"));
        else
            too_large(t);
        return;
    default:
        sq_http_set_error(t, SQ_HTTP_CODE_GENERIC, sq_xstrdup(words));
        return;
    }
}

void sq_http_take_result(struct sq_http_transfer *t, CURLcode rc)
{
    t->result.sent_head = sq_buf_slice(&t->sent_head);
    t->result.received_head = sq_buf_slice(&t->received_head);
    sq_http_read_peer(t);
    sq_http_read_timings(t);
    if (rc != CURLE_OK) {
        explain(t, rc);
    } else if (t->result.status && !t->head_over) {
        /* libcurl takes a connection that is closed there for the end of the head. */
        sq_http_set_error(t, SQ_HTTP_CODE_GENERIC, sq_xstrdup("unexpected EOF"));
    } else if (t->result.status == 0) {
        sq_http_set_error(t, SQ_HTTP_CODE_GENERIC, sq_xstrdup("malformed HTTP response"));
    } else if (t->decoder && sq_content_decoder_end(t->decoder, &t->coding_error) < 0) {
        decoding_failed(t);
    } else {
        t->result.headers = t->head.len ? (const char *)t->head.data : "";
        t->result.body = sq_buf_slice(&t->body);
    }
}
