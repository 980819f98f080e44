/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/frame.h"

#include "proto/ws/mask.h"

/* 0                   1                   2                   3
 * +-+-+-+-+-------+-+-------------+-------------------------------+
 * |F|R|R|R| opcode|M| len (7)     | len (16 or 64) if len is      |
 * |I|S|S|S|  (4)  |A|             | 126 or 127                    |
 * |N|1|2|3|       |S|             |                               |
 * +-+-+-+-+-------+-+-------------+ - - - - - - - - - - - - - - - +
 * | masking key (32) if MASK                                      |
 * +---------------------------------------------------------------+ */

enum state { IN_HEADER, IN_PAYLOAD, FAILED };

enum fault {
    FAULT_NONE,
    FAULT_RESERVED_BIT,
    FAULT_OPCODE,
    FAULT_MASKED,
    FAULT_UNMASKED,
    FAULT_LENGTH_FORM,
    FAULT_LENGTH_SIGN,
    FAULT_CONTROL_FRAGMENT,
    FAULT_CONTROL_LENGTH,
    FAULT_CONTINUATION,
    FAULT_INTERLEAVED,
};

static const char *const fault_text[] = {
    [FAULT_NONE] = "no error",
    [FAULT_RESERVED_BIT] = "reserved bit set, RFC 6455 5.2",
    [FAULT_OPCODE] = "reserved opcode, RFC 6455 5.2",
    [FAULT_MASKED] = "masked frame from a server, RFC 6455 5.1",
    [FAULT_UNMASKED] = "unmasked frame from a client, RFC 6455 5.1",
    [FAULT_LENGTH_FORM] = "payload length not in its shortest form, RFC 6455 5.2",
    [FAULT_LENGTH_SIGN] = "payload length above 2^63, RFC 6455 5.2",
    [FAULT_CONTROL_FRAGMENT] = "fragmented control frame, RFC 6455 5.5",
    [FAULT_CONTROL_LENGTH] = "control frame longer than 125 bytes, RFC 6455 5.5",
    [FAULT_CONTINUATION] = "continuation without a message, RFC 6455 5.4",
    [FAULT_INTERLEAVED] = "new message inside a fragmented one, RFC 6455 5.4",
};

const char *sq_ws_decode_reason(const struct sq_ws_decoder *d)
{
    return fault_text[d->error < SQ_COUNT(fault_text) ? d->error : 0];
}

bool sq_ws_decode_midway(const struct sq_ws_decoder *d)
{
    return d->head_len > 0 || d->in_message || d->state == IN_PAYLOAD;
}

static size_t header_len(uint8_t second)
{
    size_t len = 2 + (second & 0x80 ? 4 : 0);

    second &= 0x7f;
    return len + (second == 126 ? 2 : second == 127 ? 8 : 0);
}

/* What the first two bytes tell, so that the verdict does not wait for more (FR-3). */
static enum fault check_start(const struct sq_ws_decoder *d, uint8_t first, uint8_t second)
{
    uint8_t opcode = first & 0x0f;
    bool control = sq_ws_opcode_is_control(opcode);
    bool starts = opcode == SQ_WS_OP_TEXT || opcode == SQ_WS_OP_BINARY;

    if (first & 0x30 || (first & 0x40 && !(starts && d->flags & SQ_WS_RSV1_OK)))
        return FAULT_RESERVED_BIT;
    if ((opcode & 7) > 2)
        return FAULT_OPCODE;
    if (d->flags & SQ_WS_ROLE_SERVER) {
        if (!(second & 0x80))
            return FAULT_UNMASKED;
    } else if (second & 0x80 && !(d->flags & SQ_WS_LENIENT)) {
        return FAULT_MASKED;
    }
    if (control && !(first & 0x80))
        return FAULT_CONTROL_FRAGMENT;
    if (control && (second & 0x7f) > SQ_WS_CONTROL_MAX)
        return FAULT_CONTROL_LENGTH;
    if (opcode == SQ_WS_OP_CONTINUATION && !d->in_message)
        return FAULT_CONTINUATION;
    if (starts && d->in_message)
        return FAULT_INTERLEAVED;
    return FAULT_NONE;
}

static uint64_t read_be(const uint8_t *p, size_t bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | *p++;
    return value;
}

static enum fault read_header(struct sq_ws_decoder *d, const uint8_t *head)
{
    struct sq_ws_frame *f = &d->frame;
    size_t at = 2;

    f->fin = head[0] & 0x80;
    f->rsv1 = head[0] & 0x40;
    f->opcode = head[0] & 0x0f;
    f->masked = head[1] & 0x80;
    f->len = head[1] & 0x7f;
    f->key = 0;
    if (f->len >= 126) {
        size_t bytes = f->len == 126 ? 2 : 8;
        f->len = read_be(head + at, bytes);
        at += bytes;
        if (f->len >> 63)
            return FAULT_LENGTH_SIGN;
        if (f->len <= (bytes == 2 ? 125u : 65535u) && !(d->flags & SQ_WS_LENIENT))
            return FAULT_LENGTH_FORM;
    }
    if (f->masked)
        memcpy(&f->key, head + at, 4);
    if (!sq_ws_opcode_is_control(f->opcode))
        d->in_message = !f->fin;
    d->left_bytes = f->len;
    return FAULT_NONE;
}

static int fail(struct sq_ws_decoder *d, enum fault fault)
{
    d->error = (uint8_t)fault;
    d->state = FAILED;
    d->head_len = 0;
    return SQ_EPROTO;
}

static void advance(struct sq_slice *in, size_t bytes)
{
    in->data += bytes;
    in->len -= bytes;
}

/* A header that is in pieces is gathered in d->head. */
static int decode_cut_header(struct sq_ws_decoder *d, struct sq_slice *in)
{
    enum fault fault;

    while (in->len > 0) {
        d->head[d->head_len++] = in->data[0];
        advance(in, 1);
        if (d->head_len == 2) {
            fault = check_start(d, d->head[0], d->head[1]);
            if (fault)
                return fail(d, fault);
        }
        if (d->head_len >= 2 && d->head_len == header_len(d->head[1])) {
            fault = read_header(d, d->head);
            d->head_len = 0;
            if (fault)
                return fail(d, fault);
            d->state = IN_PAYLOAD;
            return SQ_WS_HEADER;
        }
    }
    return SQ_WS_NEED_MORE;
}

static int decode_header(struct sq_ws_decoder *d, struct sq_slice *in)
{
    enum fault fault;
    size_t len;

    if (d->head_len > 0 || in->len < 2)
        return decode_cut_header(d, in);
    len = header_len(in->data[1]);
    if (in->len < len)
        return decode_cut_header(d, in);
    fault = check_start(d, in->data[0], in->data[1]);
    if (!fault)
        fault = read_header(d, in->data);
    if (fault)
        return fail(d, fault);
    advance(in, len);
    d->state = IN_PAYLOAD;
    return SQ_WS_HEADER;
}

static int decode_payload(struct sq_ws_decoder *d, struct sq_slice *in, struct sq_slice *slice)
{
    size_t len = in->len < d->left_bytes ? in->len : (size_t)d->left_bytes;

    if (len == 0)
        return SQ_WS_NEED_MORE;
    if (d->frame.masked)
        sq_ws_mask_copy((uint8_t *)(uintptr_t)in->data, in->data, len, d->frame.key,
                        (size_t)((d->frame.len - d->left_bytes) & 3));
    *slice = sq_slice(in->data, len);
    advance(in, len);
    d->left_bytes -= len;
    return SQ_WS_PAYLOAD;
}

int sq_ws_decode(struct sq_ws_decoder *d, struct sq_slice *in, struct sq_slice *slice)
{
    switch ((enum state)d->state) {
    case IN_HEADER:
        return decode_header(d, in);
    case IN_PAYLOAD:
        if (d->left_bytes > 0)
            return decode_payload(d, in, slice);
        d->state = IN_HEADER;
        return SQ_WS_FRAME_END;
    case FAILED:
        break;
    }
    return SQ_EPROTO;
}

static void write_be(uint8_t *p, uint64_t value, size_t bytes)
{
    for (; bytes-- > 0; value >>= 8)
        p[bytes] = (uint8_t)value;
}

size_t sq_ws_frame_header(uint8_t out[SQ_WS_HEADER_MAX], const struct sq_ws_frame *frame)
{
    uint8_t mask = frame->masked ? 0x80 : 0;
    size_t len = 2;

    out[0] = (uint8_t)((frame->fin ? 0x80 : 0) | (frame->rsv1 ? 0x40 : 0) | (frame->opcode & 0x0f));
    if (frame->len <= 125) {
        out[1] = mask | (uint8_t)frame->len;
    } else if (frame->len <= 65535) {
        out[1] = mask | 126;
        write_be(out + 2, frame->len, 2);
        len += 2;
    } else {
        out[1] = mask | 127;
        write_be(out + 2, frame->len, 8);
        len += 8;
    }
    if (mask) {
        memcpy(out + len, &frame->key, 4);
        len += 4;
    }
    return len;
}

size_t sq_ws_frame_write(uint8_t *out, const struct sq_ws_frame *frame, const void *payload)
{
    size_t head = sq_ws_frame_header(out, frame), len = (size_t)frame->len;

    if (frame->masked)
        sq_ws_mask_copy(out + head, payload, len, frame->key, 0);
    else if (len > 0)
        memcpy(out + head, payload, len);
    return head + len;
}
