/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http1/head.h"

#include "base/text.h"

enum fault {
    FAULT_NONE,
    FAULT_NOT_HTTP,
    FAULT_CONTROL_BYTE,
    FAULT_LONG_HEAD,
    FAULT_LONG_LINE,
    FAULT_MANY_LINES,
    FAULT_STATUS_LINE,
    FAULT_REQUEST_LINE,
    FAULT_FOLDED,
    FAULT_FIELD,
};

static const char *const fault_text[] = {
    [FAULT_NONE] = "no error",
    [FAULT_NOT_HTTP] = "not an HTTP/1 response",
    [FAULT_CONTROL_BYTE] = "control byte in the head",
    [FAULT_LONG_HEAD] = "head longer than 16 KiB",
    [FAULT_LONG_LINE] = "header line longer than 8 KiB",
    [FAULT_MANY_LINES] = "more than 100 header lines",
    [FAULT_STATUS_LINE] = "malformed status line",
    [FAULT_REQUEST_LINE] = "malformed request line",
    [FAULT_FOLDED] = "folded header line",
    [FAULT_FIELD] = "malformed header line",
};

const char *sq_http1_reason(const struct sq_http1_parser *p)
{
    return fault_text[p->error < SQ_COUNT(fault_text) ? p->error : 0];
}

static int fail(struct sq_http1_parser *p, enum fault fault)
{
    p->error = (uint8_t)fault;
    return fault == FAULT_LONG_HEAD || fault == FAULT_LONG_LINE || fault == FAULT_MANY_LINES
               ? SQ_ETOOBIG
               : SQ_EPROTO;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_token_byte(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool sq_http1_is_token(struct sq_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_byte(text.data[i]))
            return false;
    return text.len > 0;
}

/* CR is left to the end of its line. */
static bool has_control_byte(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((data[i] < 0x20 && data[i] != '\t' && data[i] != '\r' && data[i] != '\n') ||
            data[i] == 0x7f)
            return true;
    return false;
}

static struct sq_slice cut_line(struct sq_slice *rest)
{
    const uint8_t *nl = memchr(rest->data, '\n', rest->len);
    size_t len = (size_t)(nl - rest->data);
    struct sq_slice line = sq_slice(rest->data, len);

    if (len > 0 && line.data[len - 1] == '\r')
        line.len--;
    rest->data += len + 1;
    rest->len -= len + 1;
    return line;
}

/* "HTTP/1.1", eight bytes. */
static bool parse_version(const uint8_t *text, struct sq_http1_head *head)
{
    if (memcmp(text, "HTTP/1.", 7) != 0 || !is_digit(text[7]))
        return false;
    head->minor = (uint8_t)(text[7] - '0');
    return true;
}

/* "HTTP/1.1 101 Any words"; servers leave the words out, and the blank before them. */
static bool parse_status_line(struct sq_slice line, struct sq_http1_head *head)
{
    const uint8_t *s = line.data;

    if (line.len < 12 || !parse_version(s, head) || s[8] != ' ' || !is_digit(s[9]) ||
        !is_digit(s[10]) || !is_digit(s[11]) || s[9] == '0')
        return false;
    head->status = (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
    if (line.len > 12) {
        if (s[12] != ' ')
            return false;
        head->reason = sq_slice_trim(sq_slice(s + 13, line.len - 13));
    }
    return true;
}

/* The target reaches from the first blank to the last: k6 leaves blanks in queries (WS-23). */
static bool parse_request_line(struct sq_slice line, struct sq_http1_head *head)
{
    const uint8_t *blank = memchr(line.data, ' ', line.len);

    if (!blank || line.len < 9 || !parse_version(line.data + line.len - 8, head) ||
        line.data[line.len - 9] != ' ')
        return false;
    head->method = sq_slice(line.data, (size_t)(blank - line.data));
    if (head->method.len + 2 + 8 >= line.len)
        return false;
    head->target = sq_slice(blank + 1, line.len - head->method.len - 2 - 8);
    return sq_http1_is_token(head->method) && head->target.data[0] != ' ';
}

static enum fault parse_field(struct sq_slice line, struct sq_http1_field *field)
{
    const uint8_t *colon = memchr(line.data, ':', line.len);

    if (line.data[0] == ' ' || line.data[0] == '\t')
        return FAULT_FOLDED;
    if (!colon)
        return FAULT_FIELD;
    field->name = sq_slice(line.data, (size_t)(colon - line.data));
    field->value = sq_slice_trim(sq_slice(colon + 1, line.len - field->name.len - 1));
    return sq_http1_is_token(field->name) ? FAULT_NONE : FAULT_FIELD;
}

/* `text` ends with the blank line. */
static int parse_lines(struct sq_http1_parser *p, struct sq_slice text, struct sq_http1_head *head)
{
    struct sq_slice line = cut_line(&text);

    memset(head, 0, offsetof(struct sq_http1_head, fields));
    if (p->kind == SQ_HTTP1_RESPONSE && !parse_status_line(line, head))
        return fail(p, FAULT_STATUS_LINE);
    if (p->kind == SQ_HTTP1_REQUEST && !parse_request_line(line, head))
        return fail(p, FAULT_REQUEST_LINE);
    for (line = cut_line(&text); line.len > 0; line = cut_line(&text)) {
        enum fault fault = parse_field(line, &head->fields[head->fields_count++]);
        if (fault)
            return fail(p, fault);
    }
    return 0;
}

/* Looks at [seen_bytes, end), which holds at most one line end, at its end. 1: the head is
 * complete.
 */
static int take_piece(struct sq_http1_parser *p, struct sq_slice in, size_t end, bool line_ends)
{
    size_t len;

    if (has_control_byte(in.data + p->seen_bytes, end - p->seen_bytes))
        return fail(p, FAULT_CONTROL_BYTE);
    p->line_bytes += (uint32_t)(end - p->seen_bytes);
    p->seen_bytes = (uint32_t)end;
    if (!line_ends)
        return 0;
    len = p->line_bytes - 1;
    const uint8_t *line = in.data + end - p->line_bytes;
    p->line_bytes = 0;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    if (len > 0 && memchr(line, '\r', len))
        return fail(p, FAULT_CONTROL_BYTE);
    if (len == 0)
        return p->lines > 0
                   ? 1
                   : fail(p, p->kind == SQ_HTTP1_RESPONSE ? FAULT_STATUS_LINE : FAULT_REQUEST_LINE);
    if (++p->lines > 1 + SQ_HTTP1_FIELDS_MAX)
        return fail(p, FAULT_MANY_LINES);
    return 0;
}

int sq_http1_parse(struct sq_http1_parser *p, struct sq_slice in, struct sq_http1_head *head)
{
    static const char start[] = "HTTP/1.";

    /* Garbage is told at its first byte, not when the line ends. */
    if (p->kind == SQ_HTTP1_RESPONSE && in.len > 0 &&
        memcmp(in.data, start, SQ_MIN(in.len, sizeof start - 1)) != 0)
        return fail(p, FAULT_NOT_HTTP);
    while (p->seen_bytes < in.len) {
        const uint8_t *from = in.data + p->seen_bytes;
        size_t left = SQ_MIN((size_t)SQ_HTTP1_LINE_MAX - p->line_bytes,
                             (size_t)SQ_HTTP1_HEAD_MAX - p->seen_bytes);
        if (left == 0)
            return fail(p, p->seen_bytes == SQ_HTTP1_HEAD_MAX ? FAULT_LONG_HEAD : FAULT_LONG_LINE);
        left = SQ_MIN(left, in.len - p->seen_bytes);
        const uint8_t *nl = memchr(from, '\n', left);
        size_t end = p->seen_bytes + (nl ? (size_t)(nl - from) + 1 : left);
        int rc = take_piece(p, in, end, nl != NULL);
        if (rc == 1)
            rc = parse_lines(p, sq_slice(in.data, end), head);
        else if (rc == 0)
            continue;
        return rc < 0 ? rc : (int)end;
    }
    return 0;
}

bool sq_http1_find(const struct sq_http1_head *head, const char *name, size_t *at,
                   struct sq_slice *value)
{
    struct sq_slice wanted = sq_slice_str(name);

    while (*at < head->fields_count) {
        const struct sq_http1_field *field = &head->fields[(*at)++];
        if (sq_ascii_eq_nocase(field->name, wanted)) {
            *value = field->value;
            return true;
        }
    }
    return false;
}

bool sq_http1_list_next(struct sq_slice *list, struct sq_slice *element)
{
    while (list->len > 0) {
        bool quoted = false;
        size_t i = 0;

        for (; i < list->len && (quoted || list->data[i] != ','); i++) {
            if (list->data[i] == '"')
                quoted = !quoted;
            else if (quoted && list->data[i] == '\\' && i + 1 < list->len)
                i++;
        }
        *element = sq_slice_trim(sq_slice(list->data, i));
        i += i < list->len;
        *list = sq_slice(list->data + i, list->len - i);
        if (element->len > 0)
            return true;
    }
    return false;
}

bool sq_http1_has_token(const struct sq_http1_head *head, const char *name, const char *token)
{
    struct sq_slice list, element, wanted = sq_slice_str(token);

    for (size_t at = 0; sq_http1_find(head, name, &at, &list);)
        while (sq_http1_list_next(&list, &element))
            if (sq_ascii_eq_nocase(element, wanted))
                return true;
    return false;
}

/* RFC 9112 6.3: chunked beats a length; several lengths must agree. */
static bool content_length(const struct sq_http1_head *head, uint64_t *out)
{
    struct sq_slice list, element;
    bool found = false;

    for (size_t at = 0; sq_http1_find(head, "Content-Length", &at, &list);)
        while (sq_http1_list_next(&list, &element)) {
            uint64_t value = 0;
            for (size_t i = 0; i < element.len; i++) {
                if (!is_digit(element.data[i]) || value > UINT64_MAX / 10 - 9)
                    return false;
                value = value * 10 + (uint64_t)(element.data[i] - '0');
            }
            if (found && value != *out)
                return false;
            *out = value;
            found = true;
        }
    return found;
}

void sq_http1_body_init(struct sq_http1_body *body, const struct sq_http1_head *response)
{
    struct sq_slice value;
    size_t at = 0;

    memset(body, 0, offsetof(struct sq_http1_body, data));
    if (response->status < 200 || response->status == 204 || response->status == 304)
        body->framing = SQ_HTTP1_BODY_NONE;
    else if (sq_http1_has_token(response, "Transfer-Encoding", "chunked"))
        body->framing = SQ_HTTP1_BODY_CHUNKED;
    else if (!sq_http1_find(response, "Transfer-Encoding", &at, &value) &&
             content_length(response, &body->left_bytes))
        body->framing = SQ_HTTP1_BODY_LENGTH;
    else
        body->framing = SQ_HTTP1_BODY_UNTIL_EOF;
    body->done = body->framing == SQ_HTTP1_BODY_NONE ||
                 (body->framing == SQ_HTTP1_BODY_LENGTH && body->left_bytes == 0);
}

static size_t keep(struct sq_http1_body *body, struct sq_slice in, uint64_t most)
{
    size_t len = SQ_MIN(in.len, (size_t)SQ_HTTP1_BODY_MAX - body->len);

    len = most < len ? (size_t)most : len;
    if (len > 0)
        memcpy(body->data + body->len, in.data, len);
    body->len += (uint16_t)len;
    return len;
}

enum chunk_state { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_END };

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte of the line "size[;extension]" with its CR and LF. */
static int chunk_size_byte(struct sq_http1_body *body, uint8_t c)
{
    int digit = body->state == CHUNK_SIZE ? hex_value(c) : -1;

    if (body->line_bytes == UINT8_MAX)
        return SQ_EPROTO;
    if (digit >= 0) {
        if (body->left_bytes >> 59)
            return SQ_EPROTO;
        body->left_bytes = body->left_bytes << 4 | (uint64_t)digit;
        body->line_bytes++;
        return 0;
    }
    if (body->line_bytes == 0)
        return SQ_EPROTO;
    if (c == '\n') {
        body->line_bytes = 0;
        body->state = CHUNK_DATA;
        body->done = body->left_bytes == 0; /* trailers do not matter to us */
        return 0;
    }
    if (body->state == CHUNK_SIZE && c != '\r' && c != ';' && c != ' ' && c != '\t')
        return SQ_EPROTO;
    body->state = CHUNK_EXTENSION;
    body->line_bytes++;
    return 0;
}

static int feed_chunked(struct sq_http1_body *body, struct sq_slice in)
{
    for (size_t i = 0; i < in.len && !body->done && body->len < SQ_HTTP1_BODY_MAX;) {
        if (body->state == CHUNK_DATA) {
            size_t n = keep(body, sq_slice(in.data + i, in.len - i), body->left_bytes);
            body->left_bytes -= n;
            i += n;
            if (body->left_bytes == 0)
                body->state = CHUNK_END;
        } else if (body->state == CHUNK_END) {
            if (in.data[i] == '\n')
                body->state = CHUNK_SIZE;
            else if (in.data[i] != '\r')
                return SQ_EPROTO;
            i++;
        } else {
            int rc = chunk_size_byte(body, in.data[i++]);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

int sq_http1_body_feed(struct sq_http1_body *body, struct sq_slice in)
{
    int rc = 0;

    if (!body->done && in.len > 0) {
        switch (body->framing) {
        case SQ_HTTP1_BODY_NONE:
            break;
        case SQ_HTTP1_BODY_LENGTH:
            body->left_bytes -= keep(body, in, body->left_bytes);
            body->done = body->left_bytes == 0;
            break;
        case SQ_HTTP1_BODY_CHUNKED:
            rc = feed_chunked(body, in);
            break;
        case SQ_HTTP1_BODY_UNTIL_EOF:
            keep(body, in, UINT64_MAX);
            break;
        }
    }
    if (rc < 0)
        return rc;
    return body->done || body->len == SQ_HTTP1_BODY_MAX;
}
