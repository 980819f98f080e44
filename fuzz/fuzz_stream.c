/* SPDX-License-Identifier: Apache-2.0 */
/* Several messages through one connection's decoder: frames, permessage-deflate with or without
 * kept context, fragments, control frames between. Input: options, two bytes that choose the cuts,
 * a limit, then either a stream as it is (any cut gives the same messages and the same verdict), or
 * a recipe of messages, from which a peer makes a stream that must come out as they went in. */
#include "base/buf.h"
#include "fuzz_deflate.h"
#include "proto/ws/frame.h"
#include "proto/ws/utf8.h"

enum { NOT_UTF8 = -1, TOO_BIG = -2, BAD_DEFLATE = -3, BAD_FRAME = -4 };

/* What one side has received. `seen` gets a record per message and control frame. */
struct receiver {
    struct sq_ws_decoder decoder;
    struct sq_ws_deflate deflate;
    struct sq_ws_utf8 utf8;
    struct sq_buf seen, message, control;
    uint64_t limit;
    bool text, deflated;
    int verdict;
};

static void note(struct receiver *r, char kind, const struct sq_buf *data)
{
    sq_buf_printf(&r->seen, "%c%zu:", kind, data->len);
    sq_buf_put(&r->seen, data->data, data->len);
}

static void take(struct receiver *r, struct sq_slice in, bool last)
{
    size_t before = r->message.len;
    int rc = 0;

    if (r->deflated)
        rc = sq_ws_inflate(&r->deflate, in, last, r->limit, &r->message);
    else
        sq_buf_put(&r->message, in.data, in.len);
    FUZZ_CHECK(!r->deflated || !r->limit || r->message.len <= r->limit);
    if (r->text && r->message.len > before &&
        sq_ws_utf8_feed(&r->utf8, r->message.data + before, r->message.len - before) < 0)
        r->verdict = NOT_UTF8;
    else if (rc < 0)
        r->verdict = rc == SQ_ETOOBIG ? TOO_BIG : BAD_DEFLATE;
}

static void end_of_frame(struct receiver *r)
{
    const struct sq_ws_frame *f = &r->decoder.frame;

    if (sq_ws_opcode_is_control(f->opcode)) {
        note(r, (char)('a' + f->opcode), &r->control);
        return;
    }
    if (!f->fin)
        return;
    if (r->deflated)
        take(r, sq_slice("", 0), true);
    if (!r->verdict && r->text && sq_ws_utf8_end(&r->utf8) < 0)
        r->verdict = NOT_UTF8;
    if (!r->verdict)
        note(r, r->text ? 'T' : 'B', &r->message);
}

static void event(struct receiver *r, int what, struct sq_slice piece)
{
    const struct sq_ws_frame *f = &r->decoder.frame;
    bool control = sq_ws_opcode_is_control(f->opcode);

    if (what == SQ_WS_HEADER && control) {
        r->control.len = 0;
    } else if (what == SQ_WS_HEADER && f->opcode != SQ_WS_OP_CONTINUATION) {
        r->text = f->opcode == SQ_WS_OP_TEXT;
        r->deflated = f->rsv1;
        r->message.len = 0;
        r->utf8 = (struct sq_ws_utf8){0};
    } else if (what == SQ_WS_PAYLOAD && control) {
        sq_buf_put(&r->control, piece.data, piece.len);
    } else if (what == SQ_WS_PAYLOAD) {
        take(r, piece, false);
    } else if (what == SQ_WS_FRAME_END) {
        end_of_frame(r);
    }
}

static void receive(struct receiver *r, const uint8_t *data, size_t size, size_t step)
{
    for (size_t at = 0; at < size && !r->verdict; at += step) {
        size_t n = SQ_MIN(step, size - at);
        uint8_t *copy = fuzz_copy(data + at, n); /* unmasking writes to it */
        struct sq_slice in = sq_slice(copy, n), piece = {0};
        int what;

        while (!r->verdict && (what = sq_ws_decode(&r->decoder, &in, &piece)) != SQ_WS_NEED_MORE) {
            if (what < 0)
                r->verdict = BAD_FRAME;
            else
                event(r, what, piece);
        }
        free(copy);
    }
}

static void receiver_init(struct receiver *r, struct sq_ws_deflate_pool *pool,
                          struct sq_ws_deflate_options opt, uint64_t limit)
{
    *r = (struct receiver){.limit = limit};
    r->decoder.flags =
        (uint8_t)((opt.agreed.enabled ? SQ_WS_RSV1_OK : 0) | (opt.server ? SQ_WS_ROLE_SERVER : 0));
    sq_ws_deflate_init(&r->deflate, pool, &opt);
}

static void receiver_deinit(struct receiver *r)
{
    sq_ws_deflate_deinit(&r->deflate);
    sq_buf_deinit(&r->seen);
    sq_buf_deinit(&r->message);
    sq_buf_deinit(&r->control);
}

static void check_same(const struct receiver *a, const struct receiver *b, bool small_window)
{
    size_t common = SQ_MIN(a->seen.len, b->seen.len);

    /* See deflate.h: a distance beyond the window may end one of them earlier. */
    if (small_window && (a->verdict == BAD_DEFLATE || b->verdict == BAD_DEFLATE)) {
        FUZZ_CHECK(sq_slice_eq(sq_slice(a->seen.data, common), sq_slice(b->seen.data, common)));
        return;
    }
    FUZZ_CHECK(sq_slice_eq(sq_buf_slice(&a->seen), sq_buf_slice(&b->seen)));
    /* Bad data and too much of it may meet in one piece; which is told first is open. */
    FUZZ_CHECK((a->verdict < 0) == (b->verdict < 0));
    FUZZ_CHECK((a->verdict == BAD_FRAME) == (b->verdict == BAD_FRAME));
}

/* All at once, byte by byte, and in pieces of two sizes. */
static void check_cuts(struct sq_ws_deflate_pool *pool, struct sq_ws_deflate_options opt,
                       uint64_t limit, const uint8_t cuts[2], struct sq_slice wire,
                       const struct sq_buf *want)
{
    size_t steps[] = {wire.len + 1, 1, (size_t)cuts[0] + 1, ((size_t)cuts[1] + 1) * 16};
    struct receiver whole;

    receiver_init(&whole, pool, opt, limit);
    receive(&whole, wire.data, wire.len, steps[0]);
    if (want) {
        FUZZ_CHECK(whole.verdict == 0);
        FUZZ_CHECK(sq_slice_eq(sq_buf_slice(&whole.seen), sq_buf_slice(want)));
    }
    for (size_t i = 1; i < SQ_COUNT(steps); i++) {
        struct receiver r;
        receiver_init(&r, pool, opt, limit);
        receive(&r, wire.data, wire.len, steps[i]);
        check_same(&r, &whole, !want && fuzz_small_window(&opt));
        receiver_deinit(&r);
    }
    receiver_deinit(&whole);
}

/* ---- the peer of a recipe ---- */

struct sender {
    struct sq_ws_deflate deflate;
    struct sq_buf wire, seen, packed;
    bool masked;
    uint32_t key;
};

static void put_frame(struct sender *s, struct sq_ws_frame f, const void *payload)
{
    f.masked = s->masked;
    f.key = f.masked ? s->key += 0x9e3779b9u : 0;
    FUZZ_CHECK(sq_buf_reserve(&s->wire, SQ_WS_HEADER_MAX + f.len) == 0);
    s->wire.len += sq_ws_frame_write(s->wire.data + s->wire.len, &f, payload);
}

static void put_ping(struct sender *s, const uint8_t *data, size_t len)
{
    put_frame(s, (struct sq_ws_frame){.len = len, .opcode = SQ_WS_OP_PING, .fin = true}, data);
    sq_buf_printf(&s->seen, "%c%zu:", 'a' + SQ_WS_OP_PING, len);
    sq_buf_put(&s->seen, data, len);
}

/* Fragments of `part` bytes (0: one frame), a ping behind the first of them. */
static void put_message(struct sender *s, const uint8_t *data, size_t len, size_t part, bool plain)
{
    bool text = sq_ws_utf8_valid(sq_slice(data, len)), packed = false;
    struct sq_slice payload = sq_slice(data, len);

    s->packed.len = 0;
    if (!plain && s->deflate.opt.agreed.enabled) {
        int rc = sq_ws_deflate_message(&s->deflate, payload, &s->packed);
        FUZZ_CHECK(rc >= 0);
        packed = rc == 1;
        if (packed)
            payload = sq_buf_slice(&s->packed);
    }
    for (size_t at = 0;;) {
        size_t n = part ? SQ_MIN(part, payload.len - at) : payload.len - at;
        struct sq_ws_frame f = {.len = n,
                                .opcode = at     ? SQ_WS_OP_CONTINUATION
                                          : text ? SQ_WS_OP_TEXT
                                                 : SQ_WS_OP_BINARY,
                                .fin = at + n == payload.len,
                                .rsv1 = packed && at == 0};
        put_frame(s, f, payload.data + at);
        at += n;
        if (f.fin)
            break;
        if (at == n)
            put_ping(s, data, SQ_MIN(len, (size_t)5));
    }
    sq_buf_printf(&s->seen, "%c%zu:", text ? 'T' : 'B', len);
    sq_buf_put(&s->seen, data, len);
}

/* Per message: how (bit 0 plain, bit 1 the message before once more), part size, length. */
static void check_recipe(struct sq_ws_deflate_pool *pool, struct sq_ws_deflate_options opt,
                         const uint8_t cuts[2], const uint8_t *data, size_t size)
{
    struct sq_ws_deflate_options peer = opt;
    struct sender s = {.masked = opt.server};
    const uint8_t *last = data;
    size_t last_len = 0;

    peer.server = !opt.server;
    sq_ws_deflate_init(&s.deflate, pool, &peer);
    while (size >= 3) {
        uint8_t how = data[0];
        size_t part = data[1], len = SQ_MIN((size_t)data[2] * (how & 4 ? 16 : 1), size - 3);
        data += 3, size -= 3;
        if (how & 2) {
            put_message(&s, last, last_len, part, how & 1);
            continue;
        }
        put_message(&s, data, len, part, how & 1);
        last = data, last_len = len;
        data += len, size -= len;
    }
    check_cuts(pool, opt, 0, cuts, sq_buf_slice(&s.wire), &s.seen);
    sq_ws_deflate_deinit(&s.deflate);
    sq_buf_deinit(&s.wire);
    sq_buf_deinit(&s.seen);
    sq_buf_deinit(&s.packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    struct sq_ws_deflate_pool *pool = sq_ws_deflate_pool_new();
    unsigned bits = 8 + data[1] % 8;
    struct sq_ws_deflate_options opt = {
        .agreed = {!(data[0] & 1), data[0] & 2, data[0] & 4, data[0] & 8 ? (uint8_t)bits : 0,
                   data[0] & 16 ? (uint8_t)bits : 0},
        .server = data[0] & 32,
        .level = (int8_t)(1 + data[1] / 32),
        .mem_level = 1,
    };

    if (data[0] & 64)
        check_recipe(pool, opt, data + 2, data + 5, size - 5);
    else
        check_cuts(pool, opt, data[4] ? (uint64_t)data[4] * 8 : 0, data + 2,
                   sq_slice(data + 5, size - 5), NULL);
    sq_ws_deflate_pool_free(pool);
    return 0;
}
