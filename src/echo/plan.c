/* SPDX-License-Identifier: Apache-2.0 */
#include "echo/plan.h"

#include <stdio.h>

static const struct {
    const char *path;
    enum sq_echo_route route;
} routes[] = {
    {"/push", SQ_ECHO_PUSH},     {"/broadcast", SQ_ECHO_BROADCAST}, {"/close", SQ_ECHO_CLOSE},
    {"/ping", SQ_ECHO_PING},     {"/silent", SQ_ECHO_SILENT},       {"/stall", SQ_ECHO_STALL},
    {"/refuse", SQ_ECHO_REFUSE}, {"/slow", SQ_ECHO_SLOW},           {"/cookie", SQ_ECHO_COOKIE},
};

/* Splits off what stands before `stop`; both halves may be empty. */
static struct sq_slice take_until(struct sq_slice *rest, char stop)
{
    const uint8_t *at = rest->len ? memchr(rest->data, stop, rest->len) : NULL;
    struct sq_slice head = sq_slice(rest->data, at ? (size_t)(at - rest->data) : rest->len);

    rest->data += head.len + (at ? 1 : 0);
    rest->len -= head.len + (at ? 1 : 0);
    return head;
}

/* The value of a query parameter, still encoded; false when it is not there. */
static bool query_find(struct sq_slice query, const char *name, struct sq_slice *value)
{
    while (query.len > 0) {
        struct sq_slice pair = take_until(&query, '&');
        struct sq_slice key = take_until(&pair, '=');
        if (sq_slice_eq(key, sq_slice_str(name))) {
            *value = pair;
            return true;
        }
    }
    return false;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decimal digits, optionally a point and more, in thousandths. `max` bounds the whole part. */
static bool parse_milli(struct sq_slice text, uint64_t max, uint64_t *milli)
{
    uint64_t whole = 0, fraction = 0, scale = 1000;
    size_t i = 0;

    for (; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++) {
        whole = whole * 10 + (uint64_t)(text.data[i] - '0');
        if (whole > max)
            return false;
    }
    if (i == 0)
        return false;
    if (i < text.len && text.data[i] == '.')
        for (i++; i < text.len && text.data[i] >= '0' && text.data[i] <= '9'; i++)
            if (scale > 1) {
                scale /= 10;
                fraction += (uint64_t)(text.data[i] - '0') * scale;
            }
    *milli = whole * 1000 + fraction;
    return i == text.len;
}

struct reader {
    struct sq_slice query;
    const char *why;
};

static uint64_t read_number(struct reader *r, const char *name, uint64_t otherwise, uint64_t max,
                            const char *why)
{
    struct sq_slice text;
    uint64_t milli;

    if (!query_find(r->query, name, &text))
        return otherwise;
    if (!parse_milli(text, max, &milli) || milli % 1000) {
        r->why = why;
        return otherwise;
    }
    return milli / 1000;
}

static int64_t read_ms(struct reader *r, const char *name, int64_t otherwise_ms)
{
    struct sq_slice text;
    uint64_t milli;

    if (!query_find(r->query, name, &text))
        return otherwise_ms * SQ_NS_PER_MS;
    if (!parse_milli(text, 24 * 3600 * 1000, &milli)) {
        r->why = "a time must be milliseconds, at most a day";
        return 0;
    }
    return (int64_t)milli * SQ_NS_PER_US;
}

static void read_text(struct reader *r, const char *name, struct sq_echo_plan *plan)
{
    struct sq_slice text;

    if (!query_find(r->query, name, &text))
        return;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i] == '+' ? ' ' : text.data[i];
        if (c == '%') {
            bool whole = text.len - i > 2;
            int high = whole ? hex_digit(text.data[i + 1]) : -1;
            int low = whole ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                r->why = "bad percent-encoding";
                return;
            }
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        if (plan->text_len == SQ_ECHO_TEXT_MAX) {
            r->why = "text longer than 123 bytes";
            return;
        }
        plan->text[plan->text_len++] = c;
    }
}

int sq_echo_plan_parse(struct sq_slice target, struct sq_echo_plan *plan, const char **why)
{
    struct reader r = {.query = target};
    struct sq_slice path = take_until(&r.query, '?');

    *plan = (struct sq_echo_plan){.route = SQ_ECHO_ECHO};
    for (size_t i = 0; i < SQ_COUNT(routes); i++)
        if (sq_slice_eq(path, sq_slice_str(routes[i].path)))
            plan->route = routes[i].route;

    switch (plan->route) {
    case SQ_ECHO_PUSH:
        plan->interval_ns = read_ms(&r, "interval", 1000);
        plan->size_bytes = (uint32_t)read_number(&r, "size", 128, SQ_ECHO_PUSH_BYTES_MAX,
                                                 "size must be a number up to 1048576");
        plan->count = read_number(&r, "count", 0, UINT64_C(1) << 40, "count must be a number");
        if (plan->count == 0)
            plan->count = UINT64_MAX;
        break;
    case SQ_ECHO_BROADCAST:
        read_text(&r, "room", plan);
        break;
    case SQ_ECHO_CLOSE:
        plan->code = (uint16_t)read_number(&r, "code", 1000, 65535, "code must be 0 to 65535");
        plan->interval_ns = read_ms(&r, "after", 0);
        read_text(&r, "reason", plan);
        break;
    case SQ_ECHO_PING:
        plan->interval_ns = SQ_MAX(read_ms(&r, "interval", 1000), SQ_NS_PER_MS);
        break;
    case SQ_ECHO_REFUSE:
        plan->code = (uint16_t)read_number(&r, "status", 403, 599, "status must be 200 to 599");
        if (plan->code < 200)
            r.why = "status must be 200 to 599";
        break;
    case SQ_ECHO_SLOW:
        plan->interval_ns = read_ms(&r, "ms", 1000);
        break;
    case SQ_ECHO_ECHO:
    case SQ_ECHO_SILENT:
    case SQ_ECHO_STALL:
    case SQ_ECHO_COOKIE:
        break;
    }
    *why = r.why;
    return r.why ? SQ_EINVALID : 0;
}

void sq_echo_plan_next_push(struct sq_echo_plan *plan, uint8_t *out)
{
    char head[48];
    size_t size = plan->size_bytes;

    plan->seq++;
    if (plan->count != UINT64_MAX)
        plan->count--;
    size_t len = (size_t)snprintf(head, sizeof head, "{\"seq\":%llu,\"pad\":\"",
                                  (unsigned long long)plan->seq);
    if (size < len + 2) { /* no room for JSON */
        memset(out, 'x', size);
        return;
    }
    memcpy(out, head, len);
    memset(out + len, 'x', size - len - 2);
    memcpy(out + size - 2, "\"}", 2);
}
