/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, FR-1: however a stream is cut, the decoder reports the same events, and UTF-8 and Close
 * verdicts on what it delivers do not depend on the cut either. Input: flags, three bytes that
 * choose the cuts, then the stream. */
#include "base/buf.h"
#include "fuzz.h"
#include "proto/ws/close.h"
#include "proto/ws/frame.h"
#include "proto/ws/utf8.h"

/* Payload bytes, and a record per header and frame end; pieces leave no trace. */
struct log {
    struct sq_buf events;
    struct sq_ws_utf8 utf8;
    size_t utf8_at; /* where in events text turned bad, 0: nowhere */
    int result;
};

static void log_header(struct log *log, const struct sq_ws_frame *f)
{
    sq_buf_printf(&log->events, "<%u %d%d%d %llu %08x>", f->opcode, f->fin, f->rsv1, f->masked,
                  (unsigned long long)f->len, f->key);
    if (f->opcode == SQ_WS_OP_TEXT)
        log->utf8 = (struct sq_ws_utf8){0};
    if (sq_ws_opcode_is_control(f->opcode))
        FUZZ_CHECK(f->fin && f->len <= SQ_WS_CONTROL_MAX && !f->rsv1);
    FUZZ_CHECK(f->len <= INT64_MAX);
}

static void feed(struct sq_ws_decoder *d, struct log *log, const uint8_t *data, size_t len)
{
    uint8_t *copy = fuzz_copy(data, len);
    struct sq_slice in = sq_slice(copy, len), piece = {0};

    while (log->result >= 0) {
        size_t before = in.len;
        log->result = sq_ws_decode(d, &in, &piece);
        if (log->result == SQ_WS_NEED_MORE)
            break;
        if (log->result == SQ_WS_HEADER) {
            log_header(log, &d->frame);
        } else if (log->result == SQ_WS_PAYLOAD) {
            FUZZ_CHECK(piece.len > 0 && before - in.len == piece.len);
            if (!log->utf8_at && !sq_ws_opcode_is_control(d->frame.opcode)) {
                struct sq_ws_utf8 probe = log->utf8;
                if (sq_ws_utf8_feed(&log->utf8, piece.data, piece.len) < 0) {
                    size_t i = 0;
                    while (sq_ws_utf8_feed(&probe, piece.data + i, 1) == 0)
                        i++;
                    FUZZ_CHECK(i < piece.len);
                    log->utf8_at = log->events.len + i + 1;
                }
            }
            sq_buf_put(&log->events, piece.data, piece.len);
        } else if (log->result == SQ_WS_FRAME_END) {
            FUZZ_CHECK(before == in.len);
            sq_buf_putc(&log->events, '\n');
        }
    }
    FUZZ_CHECK(log->result < 0 || in.len == 0);
    free(copy);
}

/* Pieces of `step` bytes; 0: all at once. */
static void run(struct log *log, unsigned flags, const uint8_t *data, size_t size, size_t first,
                size_t step)
{
    struct sq_ws_decoder d = {.flags = (uint8_t)(flags & 7)};

    first = SQ_MIN(first, size);
    feed(&d, log, data, first);
    for (size_t at = first; at < size && log->result >= 0;) {
        size_t n = step ? SQ_MIN(step, size - at) : size - at;
        feed(&d, log, data + at, n);
        at += n;
    }
    FUZZ_CHECK((log->result < 0) == (strcmp(sq_ws_decode_reason(&d), "no error") != 0));
}

static void check_close(const uint8_t *data, size_t size)
{
    struct sq_ws_close parsed;
    uint8_t out[125], *copy = fuzz_copy(data, size);
    struct sq_slice payload = sq_slice(copy, SQ_MIN(size, (size_t)SQ_WS_CONTROL_MAX));

    if (sq_ws_close_parse(payload, &parsed) == 0) {
        size_t len = sq_ws_close_build(out, parsed.code, parsed.reason);
        FUZZ_CHECK(sq_slice_eq(sq_slice(out, len), payload));
    }
    free(copy);
}

static void check_replace(const uint8_t *data, size_t size)
{
    struct sq_buf out = {0};
    bool valid = sq_ws_utf8_valid(sq_slice(data, size));

    FUZZ_CHECK(sq_ws_utf8_replace(sq_slice(data, size), &out) == 0);
    FUZZ_CHECK(sq_ws_utf8_valid(sq_buf_slice(&out)));
    FUZZ_CHECK(valid == sq_slice_eq(sq_slice(data, size), sq_buf_slice(&out)));
    sq_buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    const uint8_t *wire = data + 4;
    size_t len = size - 4;
    struct log whole = {0};
    run(&whole, data[0], wire, len, len, 0);
    size_t cuts[][2] = {{0, 1}, {data[1], 0}, {data[2], (size_t)data[3] + 1}};
    for (size_t i = 0; i < SQ_COUNT(cuts); i++) {
        struct log pieces = {0};
        run(&pieces, data[0], wire, len, cuts[i][0], cuts[i][1]);
        FUZZ_CHECK(sq_slice_eq(sq_buf_slice(&whole.events), sq_buf_slice(&pieces.events)));
        FUZZ_CHECK((whole.result < 0) == (pieces.result < 0));
        FUZZ_CHECK(whole.utf8_at == pieces.utf8_at);
        sq_buf_deinit(&pieces.events);
    }
    sq_buf_deinit(&whole.events);
    check_close(wire, len);
    check_replace(wire, len);
    return 0;
}
