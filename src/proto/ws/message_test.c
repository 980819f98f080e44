/* SPDX-License-Identifier: Apache-2.0 */
/* The codecs together, on the server bytes of the protocol cases that need no connection: frames,
 * inflating, UTF-8 and Close payloads, at every cut. The connection's own assembler is net/ws_conn;
 * this one only keeps a log. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/test.h"
#include "proto/ws/close.h"
#include "proto/ws/deflate.h"
#include "proto/ws/frame.h"
#include "proto/ws/utf8.h"

struct receiver {
    struct sq_ws_decoder decoder;
    struct sq_ws_deflate_pool *pool;
    struct sq_ws_deflate deflate;
    struct sq_ws_utf8 utf8;
    struct sq_buf message, control, log;
    uint64_t limit, announced;
    size_t checked; /* bytes of message that utf8 has seen */
    bool text, compressed, over;
};

struct setup {
    unsigned flags;
    uint64_t limit;
    struct sq_ws_pmd agreed;
};

static void receiver_open(struct receiver *r, const struct setup *setup)
{
    *r = (struct receiver){.decoder.flags = (uint8_t)setup->flags, .limit = setup->limit};
    if (setup->agreed.enabled)
        r->decoder.flags |= SQ_WS_RSV1_OK;
    r->pool = sq_ws_deflate_pool_new();
    sq_ws_deflate_init(&r->deflate, r->pool,
                       &(struct sq_ws_deflate_options){.agreed = setup->agreed});
}

static void receiver_close(struct receiver *r)
{
    sq_ws_deflate_deinit(&r->deflate);
    sq_ws_deflate_pool_free(r->pool);
    sq_buf_deinit(&r->message);
    sq_buf_deinit(&r->control);
    sq_buf_deinit(&r->log);
}

static void fail(struct receiver *r, int code)
{
    sq_buf_printf(&r->log, "fail %d", code);
    r->over = true;
}

static void take_header(struct receiver *r)
{
    const struct sq_ws_frame *f = &r->decoder.frame;

    if (sq_ws_opcode_is_control(f->opcode)) {
        r->control.len = 0;
        return;
    }
    if (f->opcode != SQ_WS_OP_CONTINUATION) {
        r->message.len = r->checked = 0;
        r->announced = 0;
        r->utf8 = (struct sq_ws_utf8){0};
        r->text = f->opcode == SQ_WS_OP_TEXT;
        r->compressed = f->rsv1;
    }
    r->announced += f->len;
    if (r->limit && !r->compressed && r->announced > r->limit)
        fail(r, 1009);
}

/* Data bytes, or with `last` the end of the message. */
static void take_data(struct receiver *r, struct sq_slice data, bool last)
{
    int rc;

    if (r->compressed)
        rc = sq_ws_inflate(&r->deflate, data, last, r->limit, &r->message);
    else
        rc = sq_buf_append(&r->message, data.data, data.len);
    if (rc < 0)
        return fail(r, rc == SQ_ETOOBIG ? 1009 : 1007);
    if (r->text)
        rc = sq_ws_utf8_feed(&r->utf8, r->message.data + r->checked, r->message.len - r->checked);
    r->checked = r->message.len;
    if (rc == 0 && last && r->text)
        rc = sq_ws_utf8_end(&r->utf8);
    if (rc < 0)
        return fail(r, 1007);
    if (!last)
        return;
    sq_buf_printf(&r->log, "%s'", r->text ? "text " : "binary ");
    sq_buf_put(&r->log, r->message.data, r->message.len);
    sq_buf_puts(&r->log, "' ");
}

static void take_control(struct receiver *r)
{
    struct sq_slice payload = sq_buf_slice(&r->control);
    struct sq_ws_close close;

    if (r->decoder.frame.opcode != SQ_WS_OP_CLOSE) {
        sq_buf_puts(&r->log, r->decoder.frame.opcode == SQ_WS_OP_PING ? "ping '" : "pong '");
        sq_buf_put(&r->log, payload.data, payload.len);
        sq_buf_puts(&r->log, "' ");
        return;
    }
    int rc = sq_ws_close_parse(payload, &close);
    if (rc < 0)
        return fail(r, rc == SQ_EUTF8 ? 1007 : 1002);
    sq_buf_printf(&r->log, "close %d '%.*s'", close.code, (int)close.reason.len,
                  close.reason.len ? (const char *)close.reason.data : "");
    r->over = true;
}

static void receive(struct receiver *r, const uint8_t *data, size_t len)
{
    uint8_t *copy = memcpy(malloc(len + 1), data, len);
    struct sq_slice in = sq_slice(copy, len), piece;

    while (!r->over) {
        int event = sq_ws_decode(&r->decoder, &in, &piece);
        bool control = sq_ws_opcode_is_control(r->decoder.frame.opcode);
        if (event == SQ_WS_NEED_MORE)
            break;
        if (event < 0)
            fail(r, 1002);
        else if (event == SQ_WS_HEADER)
            take_header(r);
        else if (event == SQ_WS_PAYLOAD && control)
            sq_buf_put(&r->control, piece.data, piece.len);
        else if (event == SQ_WS_PAYLOAD)
            take_data(r, piece, false);
        else if (control)
            take_control(r);
        else if (r->decoder.frame.fin)
            take_data(r, sq_slice(NULL, 0), true);
    }
    free(copy);
}

/* Every cut gives this log; after one without a failure or Close a frame more is received. */
static void check(struct setup setup, const void *wire, size_t len, const char *want)
{
    bool over = strstr(want, "fail") || strstr(want, "close");
    size_t step = len > 1000 ? len / 50 : 1;

    for (size_t cut = 0; cut <= len; cut += step) {
        struct receiver r;
        char all[600];
        receiver_open(&r, &setup);
        receive(&r, wire, cut);
        receive(&r, (const uint8_t *)wire + cut, len - cut);
        receive(&r,
                (const uint8_t *)"\x81\x03"
                                 "end",
                5);
        snprintf(all, sizeof all, "%s%s", want, over ? "" : "text 'end' ");
        SQ_CHECK_STR(sq_buf_cstr(&r.log), all);
        receiver_close(&r);
    }
}

#define WIRE(setup, wire, want) check(setup, wire, sizeof(wire) - 1, want)
static const struct setup strict, lenient = {.flags = SQ_WS_LENIENT}, limit1000 = {.limit = 1000};
static const struct setup pmd = {.agreed = {true, true, true, 0, 0}};
static const struct setup kept = {.agreed = {.enabled = true}};

SQ_TEST(P19_hello)
{
    WIRE(strict, "\x81\x05Hello", "text 'Hello' ");
}

SQ_TEST(P20_hello_in_two_fragments)
{
    WIRE(strict, "\x01\x03Hel\x80\x02lo", "text 'Hello' ");
}

SQ_TEST(P21_ping_between_fragments)
{
    WIRE(strict, "\x01\x03Hel\x89\x00\x80\x02lo", "ping '' text 'Hello' ");
    WIRE(strict, "\x01\x03Hel\x89\x02no\x80\x02lo", "ping 'no' text 'Hello' ");
}

SQ_TEST(P31_long_winded_length_lenient)
{
    WIRE(strict, "\x81\x7e\x00\x05Hello", "fail 1002");
    WIRE(lenient, "\x81\x7e\x00\x05Hello", "text 'Hello' ");
}

SQ_TEST(P33_announced_length_above_the_limit)
{
    WIRE(limit1000, "\x82\x7e\x03\xe9", "fail 1009");
}

SQ_TEST(P34_fragments_above_the_limit)
{
    uint8_t wire[4 + 600 + 4] = {0x02, 0x7e, 0x02, 0x58, [604] = 0x80, 0x7e, 0x02, 0x58};

    check(limit1000, wire, sizeof wire, "fail 1009");
}

SQ_TEST(P36_bad_continuation_byte)
{
    WIRE(strict, "\x81\x02\xc3\x28", "fail 1007");
    WIRE(strict, "\x82\x02\xc3\x28", "binary '\xc3\x28' "); /* TX-5 */
}

SQ_TEST(P37_surrogate_too_large_overlong)
{
    WIRE(strict, "\x81\x03\xed\xa0\x80", "fail 1007");
    WIRE(strict, "\x81\x04\xf4\x90\x80\x80", "fail 1007");
    WIRE(strict, "\x81\x02\xc0\xaf", "fail 1007");
    /* TX-2: told before the rest of the frame, or the next fragment, is there. */
    WIRE(strict,
         "\x81\x7e\x10\x00"
         "ab\xff",
         "fail 1007");
    WIRE(strict, "\x01\x03\xce\xba\xf4\x80\x01\x90", "fail 1007");
}

SQ_TEST(P38_code_point_over_three_fragments)
{
    WIRE(strict, "\x01\x01\xe2\x00\x01\x82\x80\x01\xac", "text '\xe2\x82\xac' ");
    WIRE(strict, "\x01\x01\xe2\x89\x01\xff\x00\x01\x82\x80\x01\xac",
         "ping '\xff' text '\xe2\x82\xac' ");
}

SQ_TEST(P39_code_point_cut_off_by_fin)
{
    WIRE(strict, "\x01\x01\xe2\x80\x01\x82", "fail 1007");
    WIRE(strict,
         "\x81\x01\xe2\x81\x01"
         "a",
         "fail 1007");
}

SQ_TEST(P40_byte_order_mark_stays)
{
    WIRE(strict, "\x81\x03\xef\xbb\xbf", "text '\xef\xbb\xbf' ");
}

SQ_TEST(P42_pong_with_payload)
{
    WIRE(strict,
         "\x8a\x03"
         "abc",
         "pong 'abc' ");
}

SQ_TEST(P43_to_P47_close_frames)
{
    WIRE(strict, "\x88\x00", "close 1005 ''");
    WIRE(strict, "\x88\x02\x03\xe8", "close 1000 ''");
    WIRE(strict,
         "\x88\x06\x0f\xa0"
         "bye!",
         "close 4000 'bye!'");
    WIRE(strict, "\x88\x01\x03", "fail 1002");
    WIRE(strict, "\x88\x04\x03\xe8\xc3\x28", "fail 1007");
}

SQ_TEST(P50_nothing_is_read_after_close)
{
    WIRE(strict,
         "\x88\x02\x03\xe8\x81\x01"
         "a",
         "close 1000 ''");
}

#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

SQ_TEST(P61_compressed_hello)
{
    WIRE(pmd, "\xc1\x07" HELLO, "text 'Hello' ");
    WIRE(kept, "\xc1\x07" HELLO, "text 'Hello' ");
    WIRE(strict, "\xc1\x07" HELLO, "fail 1002"); /* PMD-2 */
}

SQ_TEST(P62_compressed_in_two_frames)
{
    WIRE(pmd, "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00", "text 'Hello' ");
    WIRE(pmd, "\x41\x03\xf2\x48\xcd\x89\x01p\x80\x04\xc9\xc9\x07\x00", "ping 'p' text 'Hello' ");
}

SQ_TEST(P63_context_kept_between_messages)
{
    WIRE(kept, "\xc1\x07" HELLO "\xc1\x05\xf2\x00\x11\x00\x00", "text 'Hello' text 'Hello' ");
    WIRE(pmd, "\xc1\x07" HELLO "\xc1\x05\xf2\x00\x11\x00\x00", "text 'Hello' fail 1007");
}

SQ_TEST(P64_stored_block)
{
    WIRE(pmd,
         "\xc1\x0b\x00\x05\x00\xfa\xff"
         "Hello\x00",
         "text 'Hello' ");
}

SQ_TEST(P65_compressed_empty_message)
{
    WIRE(pmd, "\xc1\x01\x00", "text '' ");
    WIRE(pmd, "\xc2\x00", "binary '' ");
}

SQ_TEST(P66_plain_between_compressed)
{
    WIRE(pmd, "\xc1\x07" HELLO "\x81\x05Hello\xc1\x07" HELLO,
         "text 'Hello' text 'Hello' text 'Hello' ");
    WIRE(kept, "\xc1\x07" HELLO "\x81\x03xyz\xc1\x05\xf2\x00\x11\x00\x00",
         "text 'Hello' text 'xyz' text 'Hello' ");
}

SQ_TEST(P71_garbage_deflate_data)
{
    WIRE(pmd, "\xc1\x04\xff\xff\xff\xff", "fail 1007");
    /* TX-4: bad UTF-8 inside a stored block. */
    WIRE(pmd, "\xc1\x08\x00\x02\x00\xfd\xff\xc3\x28\x00", "fail 1007");
}
