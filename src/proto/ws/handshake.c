/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/handshake.h"

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "base/text.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static const char bad_handshake[] = "websocket: bad handshake";
static const char bad_compression[] = "websocket: unacceptable answer to the compression offer";

/* ---- keys ---- */

void sq_ws_key_new(char out[SQ_WS_KEY_LEN + 1])
{
    uint8_t raw[16];

    sq_random_bytes(raw, sizeof raw);
    EVP_EncodeBlock((unsigned char *)out, raw, sizeof raw);
}

void sq_ws_accept_key(struct sq_slice key, char out[SQ_WS_ACCEPT_LEN + 1])
{
    uint8_t text[128 + sizeof GUID], hash[EVP_MAX_MD_SIZE];
    size_t len = SQ_MIN(key.len, (size_t)128); /* callers pass 24; never read past our buffer */
    unsigned hash_len = 0;

    if (len > 0)
        memcpy(text, key.data, len);
    memcpy(text + len, GUID, sizeof GUID - 1);
    if (EVP_Digest(text, len + sizeof GUID - 1, hash, &hash_len, EVP_sha1(), NULL) != 1)
        sq_panic("OpenSSL offers no SHA-1, which RFC 6455 asks for");
    EVP_EncodeBlock((unsigned char *)out, hash, (int)hash_len);
}

/* ---- request ---- */

static bool is(struct sq_slice text, const char *name)
{
    return sq_ascii_eq_nocase(text, sq_slice_str(name));
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

void sq_http1_canonical_name(char *name, size_t len)
{
    bool start = true;

    if (!sq_http1_is_token(sq_slice(name, len)))
        return;
    for (size_t i = 0; i < len; i++) {
        name[i] = start ? upper(name[i]) : sq_ascii_lower(name[i]);
        start = name[i] == '-';
    }
}

static void put_slice(struct sq_buf *out, struct sq_slice text)
{
    sq_buf_put(out, text.data, text.len);
}

/* CR, LF and NUL would begin a line of their own (HS-8). */
static void put_value(struct sq_buf *out, struct sq_slice value)
{
    size_t from, to = value.len;

    for (from = 0; from < to && memchr(" \t\r\n", value.data[from], 5); from++)
        ;
    while (to > from && memchr(" \t\r\n", value.data[to - 1], 5))
        to--;
    for (; from < to; from++) {
        uint8_t c = value.data[from];
        sq_buf_putc(out, c == '\r' || c == '\n' || c == 0 ? ' ' : (char)c);
    }
}

static void put_header(struct sq_buf *out, const char *name, struct sq_slice value)
{
    sq_buf_puts(out, name);
    sq_buf_puts(out, ": ");
    put_value(out, value);
    sq_buf_puts(out, "\r\n");
}

/* The last of that name: later ones replaced it (WS-11). */
static const struct sq_http1_field *last_of(const struct sq_http1_field *headers, size_t count,
                                            const char *name)
{
    while (count-- > 0)
        if (is(headers[count].name, name))
            return &headers[count];
    return NULL;
}

struct sq_slice sq_ws_request_protocols(const struct sq_http1_field *headers, size_t count)
{
    const struct sq_http1_field *field = last_of(headers, count, "Sec-WebSocket-Protocol");

    return field ? sq_slice_trim(field->value) : sq_slice(NULL, 0);
}

static int refuse_forbidden(const struct sq_http1_field *headers, size_t count,
                            struct sq_error *err)
{
    static const char *const names[] = {"Upgrade", "Connection", "Sec-Websocket-Key",
                                        "Sec-Websocket-Version", "Sec-Websocket-Extensions"};

    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < SQ_COUNT(names); n++)
            if (is(headers[i].name, names[n]))
                return sq_error_set(err, SQ_EINVALID, "websocket: duplicate header not allowed: %s",
                                    names[n]);
    return 0;
}

static void put_offer(struct sq_buf *out, const struct sq_ws_pmd *offer)
{
    sq_buf_puts(out, "Sec-WebSocket-Extensions: permessage-deflate");
    if (offer->server_no_context_takeover)
        sq_buf_puts(out, "; server_no_context_takeover");
    if (offer->client_no_context_takeover)
        sq_buf_puts(out, "; client_no_context_takeover");
    if (offer->server_max_window_bits)
        sq_buf_printf(out, "; server_max_window_bits=%u", offer->server_max_window_bits);
    if (offer->client_max_window_bits == SQ_WS_PMD_BITS_OPEN)
        sq_buf_puts(out, "; client_max_window_bits");
    else if (offer->client_max_window_bits)
        sq_buf_printf(out, "; client_max_window_bits=%u", offer->client_max_window_bits);
    sq_buf_puts(out, "\r\n");
}

static void put_basic_auth(struct sq_buf *out, const char *userinfo)
{
    /* RFC 7617 2: the colon is there without a password, too. */
    char *pair = sq_xasprintf("%s%s", userinfo, strchr(userinfo, ':') ? "" : ":");
    size_t len = strlen(pair);
    char *text = sq_xmalloc(4 * (len / 3 + 1) + 1);

    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)pair, (int)len);
    sq_buf_printf(out, "Authorization: Basic %s\r\n", text);
    free(text);
    free(pair);
}

/* Those that are written in a place of their own, or not at all. */
static bool is_special(struct sq_slice name)
{
    return is(name, "Host") || is(name, "User-Agent") || is(name, "Sec-WebSocket-Protocol") ||
           is(name, "Content-Length") || is(name, "Transfer-Encoding");
}

/* Of the connection, which HTTP/2 has no headers for. */
static bool is_hop_header(struct sq_slice name)
{
    return is(name, "Keep-Alive") || is(name, "Proxy-Connection") || is(name, "TE") ||
           is(name, "HTTP2-Settings");
}

static void put_script_headers(struct sq_buf *out, const struct sq_http1_field *headers,
                               size_t count, bool http2)
{
    for (size_t i = 0; i < count; i++) {
        bool replaced = false;
        if (!sq_http1_is_token(headers[i].name) || is_special(headers[i].name) ||
            (http2 && is_hop_header(headers[i].name)))
            continue;
        for (size_t later = i + 1; later < count && !replaced; later++)
            replaced = sq_ascii_eq_nocase(headers[i].name, headers[later].name);
        if (replaced)
            continue;
        size_t at = out->len;
        put_slice(out, headers[i].name);
        sq_http1_canonical_name((char *)out->data + at, headers[i].name.len);
        sq_buf_puts(out, ": ");
        put_value(out, headers[i].value);
        sq_buf_puts(out, "\r\n");
    }
}

static void put_get(struct sq_buf *out, const struct sq_ws_request *request, struct sq_slice host)
{
    sq_buf_puts(out, "GET ");
    sq_buf_puts(out, request->url->target);
    sq_buf_puts(out, " HTTP/1.1\r\n");
    put_header(out, "Host", host);
}

static void put_connect(struct sq_buf *out, const struct sq_ws_request *request,
                        struct sq_slice authority)
{
    put_header(out, ":method", sq_slice_str("CONNECT"));
    put_header(out, ":protocol", sq_slice_str("websocket"));
    put_header(out, ":scheme", sq_slice_str(request->url->secure ? "https" : "http"));
    put_header(out, ":path", sq_slice_str(request->url->target));
    put_header(out, ":authority", authority);
}

static void lower_names(uint8_t *lines, size_t len)
{
    bool in_name = true;

    for (size_t i = 0; i < len; i++) {
        bool first = i == 0 || lines[i - 1] == '\n';

        in_name = first || (in_name && lines[i] != ':');
        if (in_name)
            lines[i] = (uint8_t)sq_ascii_lower((char)lines[i]);
    }
}

int sq_ws_request_build(const struct sq_ws_request *request, struct sq_buf *out,
                        struct sq_error *err)
{
    const struct sq_http1_field *headers = request->headers, *host, *agent;
    size_t count = request->headers_count;
    struct sq_slice protocols = sq_ws_request_protocols(headers, count), authority;
    size_t start = out->len;
    int rc = refuse_forbidden(headers, count, err);

    if (rc < 0)
        return rc;
    host = last_of(headers, count, "Host");
    agent = last_of(headers, count, "User-Agent");
    if (host && sq_slice_trim(host->value).len > 0)
        authority = host->value;
    else
        authority = request->host.len > 0 ? request->host : sq_slice_str(request->url->host_header);
    if (request->http2)
        put_connect(out, request, authority);
    else
        put_get(out, request, authority);
    if (agent ? sq_slice_trim(agent->value).len > 0 : request->user_agent.len > 0)
        put_header(out, "User-Agent", agent ? agent->value : request->user_agent);
    if (!request->http2) {
        put_header(out, "Upgrade", sq_slice_str("websocket"));
        put_header(out, "Connection", sq_slice_str("Upgrade"));
        put_header(out, "Sec-WebSocket-Key", sq_slice_str(request->key));
    }
    put_header(out, "Sec-WebSocket-Version", sq_slice_str("13"));
    if (protocols.len > 0)
        put_header(out, "Sec-WebSocket-Protocol", protocols);
    if (request->offer.enabled)
        put_offer(out, &request->offer);
    if (request->cookie.len > 0 && !last_of(headers, count, "Cookie"))
        put_header(out, "Cookie", request->cookie);
    if (request->url->userinfo[0] && !last_of(headers, count, "Authorization"))
        put_basic_auth(out, request->url->userinfo);
    put_script_headers(out, headers, count, request->http2);
    if (request->http2)
        lower_names(out->data + start, out->len - start);
    else
        sq_buf_puts(out, "\r\n");
    return 0;
}

/* ---- extension parameters, both sides ---- */

enum { SERVER_FLAG = 1, CLIENT_FLAG = 2, SERVER_BITS = 4, CLIENT_BITS = 8 };

/* Takes the text up to the next ';' outside quotes. False at the end. */
static bool next_part(struct sq_slice *rest, struct sq_slice *part)
{
    bool quoted = false;
    size_t i = 0;

    if (!rest->data)
        return false;
    for (; i < rest->len && (quoted || rest->data[i] != ';'); i++) {
        if (rest->data[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->data[i] == '\\' && i + 1 < rest->len)
            i++;
    }
    *part = sq_slice_trim(sq_slice(rest->data, i));
    *rest = i < rest->len ? sq_slice(rest->data + i + 1, rest->len - i - 1) : sq_slice(NULL, 0);
    return true;
}

/* 8..15 without a leading zero, quoted or not; -1 otherwise. */
static int window_bits(struct sq_slice value)
{
    if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
        value = sq_slice(value.data + 1, value.len - 2);
    if (value.len == 1 && (value.data[0] == '8' || value.data[0] == '9'))
        return value.data[0] - '0';
    if (value.len == 2 && value.data[0] == '1' && value.data[1] >= '0' && value.data[1] <= '5')
        return 10 + value.data[1] - '0';
    return -1;
}

static unsigned parameter_of(struct sq_slice name)
{
    if (is(name, "server_no_context_takeover"))
        return SERVER_FLAG;
    if (is(name, "client_no_context_takeover"))
        return CLIENT_FLAG;
    if (is(name, "server_max_window_bits"))
        return SERVER_BITS;
    return is(name, "client_max_window_bits") ? CLIENT_BITS : 0;
}

/* One element "permessage-deflate; a; b=1". NULL, or which rule it breaks. Only an offer may name
 * client_max_window_bits without a value. */
static const char *parse_pmd(struct sq_slice element, bool is_offer, struct sq_ws_pmd *out)
{
    struct sq_slice part, value;
    unsigned seen = 0;

    *out = (struct sq_ws_pmd){.enabled = true};
    next_part(&element, &part); /* the name */
    while (next_part(&element, &part)) {
        const uint8_t *equals = part.len ? memchr(part.data, '=', part.len) : NULL;
        size_t name_len = equals ? (size_t)(equals - part.data) : part.len;
        unsigned parameter = parameter_of(sq_slice_trim(sq_slice(part.data, name_len)));
        value = sq_slice(NULL, 0);
        if (equals)
            value = sq_slice_trim(sq_slice(equals + 1, part.len - name_len - 1));
        if (!parameter)
            return "unknown permessage-deflate parameter";
        if (seen & parameter)
            return "permessage-deflate parameter given twice";
        seen |= parameter;
        if (parameter & (SERVER_FLAG | CLIENT_FLAG)) {
            if (equals)
                return "no_context_takeover takes no value";
            out->server_no_context_takeover |= parameter == SERVER_FLAG;
            out->client_no_context_takeover |= parameter == CLIENT_FLAG;
            continue;
        }
        int bits = window_bits(value);
        if (is_offer && parameter == CLIENT_BITS && !equals)
            bits = SQ_WS_PMD_BITS_OPEN;
        if (bits < 0)
            return "max_window_bits wants a number from 8 to 15";
        if (parameter == SERVER_BITS)
            out->server_max_window_bits = (uint8_t)bits;
        else
            out->client_max_window_bits = (uint8_t)bits;
    }
    return NULL;
}

static struct sq_slice extension_name(struct sq_slice element)
{
    struct sq_slice name = element;

    next_part(&element, &name);
    return name;
}

/* ---- response ---- */

static int refuse(struct sq_ws_verdict *out, int code, const char *text, const char *fmt, ...)
    SQ_PRINTF(4, 5);
static int refuse(struct sq_ws_verdict *out, int code, const char *text, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(out->reason, sizeof out->reason, fmt, args);
    va_end(args);
    out->text = text;
    out->pmd = (struct sq_ws_pmd){0};
    return code;
}

/* For "%.*s" in a reason. */
static int shown(struct sq_slice text)
{
    return (int)SQ_MIN(text.len, (size_t)60);
}

static int check_accept(const char *key, const struct sq_http1_head *response,
                        struct sq_ws_verdict *out)
{
    struct sq_slice value, second;
    char want[SQ_WS_ACCEPT_LEN + 1];
    size_t at = 0;

    if (!sq_http1_find(response, "Sec-WebSocket-Accept", &at, &value))
        return refuse(out, SQ_EPROTO, bad_handshake, "the response has no Sec-WebSocket-Accept");
    if (sq_http1_find(response, "Sec-WebSocket-Accept", &at, &second))
        return refuse(out, SQ_EPROTO, bad_handshake,
                      "the response has more than one Sec-WebSocket-Accept");
    sq_ws_accept_key(sq_slice_str(key), want);
    if (!sq_slice_eq(value, sq_slice(want, SQ_WS_ACCEPT_LEN)))
        return refuse(out, SQ_EPROTO, bad_handshake,
                      "Sec-WebSocket-Accept '%.*s' does not belong to the key, want '%s'",
                      shown(value), (const char *)value.data, want);
    return 0;
}

/* An answer with good syntax against what was offered (PMD-4, PMD-5, PMD-8). */
static const char *check_answer(const struct sq_ws_pmd *offer, const struct sq_ws_pmd *answer)
{
    if (offer->server_no_context_takeover && !answer->server_no_context_takeover)
        return "the answer drops server_no_context_takeover";
    if (offer->server_max_window_bits &&
        (!answer->server_max_window_bits ||
         answer->server_max_window_bits > offer->server_max_window_bits))
        return "server_max_window_bits is larger than offered";
    if (answer->client_max_window_bits && !offer->client_max_window_bits)
        return "client_max_window_bits was not offered";
    if (answer->client_max_window_bits > offer->client_max_window_bits)
        return "client_max_window_bits is larger than offered";
    return NULL;
}

static int check_pmd(const struct sq_ws_expect *expect, struct sq_slice element,
                     struct sq_ws_verdict *out)
{
    struct sq_ws_pmd answer;
    const char *why;

    if (out->pmd.enabled)
        return refuse(out, SQ_EPROTO, bad_compression, "permessage-deflate is answered twice");
    why = parse_pmd(element, false, &answer);
    if (!why && expect->offer.enabled)
        why = check_answer(&expect->offer, &answer);
    else if (!why && !expect->lenient)
        why = "permessage-deflate was not offered";
    else if (!why && !(answer.server_no_context_takeover && answer.client_no_context_takeover))
        why = "unasked permessage-deflate without both no_context_takeover flags";
    if (why)
        return refuse(out, SQ_EPROTO, bad_compression, "%s: '%.*s'", why, shown(element),
                      (const char *)element.data);
    /* Ours to choose; what we offered to do without, we do without. */
    answer.client_no_context_takeover |= expect->offer.client_no_context_takeover;
    out->pmd = answer;
    return 0;
}

static int check_extensions(const struct sq_ws_expect *expect, const struct sq_http1_head *response,
                            struct sq_ws_verdict *out)
{
    struct sq_slice list, element, name;

    for (size_t at = 0; sq_http1_find(response, "Sec-WebSocket-Extensions", &at, &list);)
        while (sq_http1_list_next(&list, &element)) {
            int rc = 0;
            name = extension_name(element);
            if (is(name, "permessage-deflate"))
                rc = check_pmd(expect, element, out);
            else if (!expect->lenient)
                rc = refuse(out, SQ_EPROTO, bad_handshake, "extension '%.*s' was not offered",
                            shown(name), (const char *)name.data);
            if (rc < 0)
                return rc;
        }
    return 0;
}

static bool list_has(struct sq_slice list, struct sq_slice wanted)
{
    struct sq_slice element;

    while (sq_http1_list_next(&list, &element))
        if (sq_slice_eq(element, wanted))
            return true;
    return false;
}

static int check_protocol(const struct sq_ws_expect *expect, const struct sq_http1_head *response,
                          struct sq_ws_verdict *out)
{
    struct sq_slice value, second;
    size_t at = 0;

    if (expect->lenient || !sq_http1_find(response, "Sec-WebSocket-Protocol", &at, &value))
        return 0;
    if (sq_http1_find(response, "Sec-WebSocket-Protocol", &at, &second) ||
        !sq_http1_is_token(value))
        return refuse(out, SQ_EPROTO, bad_handshake,
                      "Sec-WebSocket-Protocol does not name one subprotocol");
    if (!list_has(expect->protocols, value))
        return refuse(out, SQ_EPROTO, bad_handshake, "subprotocol '%.*s' was not requested",
                      shown(value), (const char *)value.data);
    return 0;
}

static int check_upgrade(const struct sq_ws_expect *expect, const struct sq_http1_head *response,
                         struct sq_ws_verdict *out)
{
    if (response->minor == 0)
        return refuse(out, SQ_EPROTO, bad_handshake, "the response is HTTP/1.0");
    if (!sq_http1_has_token(response, "Upgrade", "websocket"))
        return refuse(out, SQ_EPROTO, bad_handshake, "the response has no Upgrade: websocket");
    if (!sq_http1_has_token(response, "Connection", "upgrade"))
        return refuse(out, SQ_EPROTO, bad_handshake, "the response has no Connection: Upgrade");
    return check_accept(expect->key, response, out);
}

int sq_ws_response_check(const struct sq_ws_expect *expect, const struct sq_http1_head *response,
                         struct sq_ws_verdict *out)
{
    size_t at = 0;
    int rc;

    *out = (struct sq_ws_verdict){.text = ""};
    sq_http1_find(response, "Sec-WebSocket-Protocol", &at, &out->protocol);
    at = 0;
    sq_http1_find(response, "Sec-WebSocket-Extensions", &at, &out->extensions);
    if (response->status != (expect->http2 ? 200 : 101))
        return refuse(out, SQ_EREFUSED, bad_handshake, "the server answered with status %d",
                      response->status);
    rc = expect->http2 ? 0 : check_upgrade(expect, response, out);
    if (rc == 0)
        rc = check_extensions(expect, response, out);
    if (rc == 0)
        rc = check_protocol(expect, response, out);
    return rc;
}

/* ---- the server's side ---- */

static int refuse_request(struct sq_buf *response, struct sq_ws_accepted *out, int status,
                          const char *phrase, const char *reason)
{
    out->status = status;
    out->reason = reason;
    sq_buf_printf(response, "HTTP/1.1 %d %s\r\n", status, phrase);
    if (status == 426)
        sq_buf_puts(response, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    if (status == 405)
        sq_buf_puts(response, "Allow: GET\r\n");
    sq_buf_printf(response,
                  "Connection: %sclose\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n"
                  "%s\n",
                  status == 426 ? "Upgrade, " : "", strlen(reason) + 1, reason);
    return SQ_EREFUSED;
}

static bool find_once(const struct sq_http1_head *head, const char *name, struct sq_slice *value)
{
    struct sq_slice second;
    size_t at = 0;

    return sq_http1_find(head, name, &at, value) && !sq_http1_find(head, name, &at, &second);
}

/* 16 bytes in base64: 22 characters that matter and two of padding. */
static bool key_is_valid(struct sq_slice key)
{
    unsigned char raw[18], text[SQ_WS_KEY_LEN + 1];

    if (key.len != SQ_WS_KEY_LEN || key.data[21] == '=' || key.data[22] != '=' ||
        key.data[23] != '=')
        return false;
    memcpy(text, key.data, key.len);
    return EVP_DecodeBlock(raw, text, SQ_WS_KEY_LEN) == (int)sizeof raw;
}

static void choose_pmd(const struct sq_http1_head *request, const struct sq_ws_accept_options *opt,
                       struct sq_ws_pmd *out)
{
    struct sq_slice list, element;

    for (size_t at = 0; sq_http1_find(request, "Sec-WebSocket-Extensions", &at, &list);)
        while (sq_http1_list_next(&list, &element)) {
            struct sq_ws_pmd offer;
            if (!is(extension_name(element), "permessage-deflate") ||
                parse_pmd(element, true, &offer) || offer.server_max_window_bits == 8)
                continue; /* the next offer may be one that we can keep */
            *out = offer;
            out->server_no_context_takeover |= !opt->keep_context;
            out->client_no_context_takeover |= !opt->keep_context;
            out->client_max_window_bits = 0; /* we inflate any window */
            return;
        }
}

static struct sq_slice choose_protocol(const struct sq_http1_head *request,
                                       struct sq_slice preferred)
{
    bool any = sq_slice_eq(preferred, sq_slice_str("*"));
    struct sq_slice list, ours, theirs;

    for (size_t at = 0; any && sq_http1_find(request, "Sec-WebSocket-Protocol", &at, &list);)
        if (sq_http1_list_next(&list, &theirs))
            return sq_http1_is_token(theirs) ? theirs : sq_slice(NULL, 0);
    while (!any && sq_http1_list_next(&preferred, &ours))
        for (size_t at = 0; sq_http1_find(request, "Sec-WebSocket-Protocol", &at, &list);)
            while (sq_http1_list_next(&list, &theirs))
                if (sq_slice_eq(ours, theirs) && sq_http1_is_token(theirs))
                    return theirs;
    return sq_slice(NULL, 0);
}

int sq_ws_handshake_accept(const struct sq_http1_head *request,
                           const struct sq_ws_accept_options *opt, struct sq_buf *response,
                           struct sq_ws_accepted *out)
{
    struct sq_slice key, value;
    char accept[SQ_WS_ACCEPT_LEN + 1];

    *out = (struct sq_ws_accepted){.status = 101, .reason = ""};
    if (request->minor == 0)
        return refuse_request(response, out, 505, "HTTP Version Not Supported", "HTTP/1.1, please");
    if (!sq_slice_eq(request->method, sq_slice_str("GET")))
        return refuse_request(response, out, 405, "Method Not Allowed", "only GET upgrades");
    if (!find_once(request, "Host", &value))
        return refuse_request(response, out, 400, "Bad Request", "exactly one Host is needed");
    if (!sq_http1_has_token(request, "Upgrade", "websocket") ||
        !sq_http1_has_token(request, "Connection", "upgrade"))
        return refuse_request(response, out, 426, "Upgrade Required", "this is a WebSocket server");
    if (!find_once(request, "Sec-WebSocket-Version", &value) ||
        !sq_slice_eq(value, sq_slice_str("13")))
        return refuse_request(response, out, 426, "Upgrade Required",
                              "Sec-WebSocket-Version is not 13");
    if (!find_once(request, "Sec-WebSocket-Key", &key) || !key_is_valid(key))
        return refuse_request(response, out, 400, "Bad Request",
                              "Sec-WebSocket-Key is not 16 bytes in base64");
    out->protocol = choose_protocol(request, opt->protocols);
    if (opt->deflate)
        choose_pmd(request, opt, &out->pmd);
    sq_ws_accept_key(key, accept);
    sq_buf_puts(response, "HTTP/1.1 101 Switching Protocols\r\n");
    put_header(response, "Upgrade", sq_slice_str("websocket"));
    put_header(response, "Connection", sq_slice_str("Upgrade"));
    put_header(response, "Sec-WebSocket-Accept", sq_slice_str(accept));
    if (out->protocol.len > 0)
        put_header(response, "Sec-WebSocket-Protocol", out->protocol);
    if (out->pmd.enabled)
        put_offer(response, &out->pmd);
    if (opt->server.len > 0)
        put_header(response, "Server", opt->server);
    sq_buf_puts(response, "\r\n");
    return 0;
}
