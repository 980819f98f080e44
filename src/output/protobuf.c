/* SPDX-License-Identifier: Apache-2.0 */
#include "output/protobuf.h"

enum wire_type { VARINT, FIXED64, BYTES };

void sq_pb_put_varint(struct sq_buf *to, uint64_t value)
{
    uint8_t bytes[10];
    size_t len = 0;

    do {
        bytes[len] = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        value >>= 7;
        len++;
    } while (value);
    sq_buf_put(to, bytes, len);
}

void sq_pb_put_sint(struct sq_buf *to, int64_t value)
{
    sq_pb_put_varint(to, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void sq_pb_put_fixed64(struct sq_buf *to, uint64_t value)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    sq_buf_put(to, bytes, sizeof bytes);
}

void sq_pb_put_double(struct sq_buf *to, double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    sq_pb_put_fixed64(to, bits);
}

static void put_tag(struct sq_buf *to, unsigned field, enum wire_type type)
{
    sq_pb_put_varint(to, field << 3 | type);
}

void sq_pb_uint(struct sq_buf *to, unsigned field, uint64_t value)
{
    put_tag(to, field, VARINT);
    sq_pb_put_varint(to, value);
}

void sq_pb_int(struct sq_buf *to, unsigned field, int64_t value)
{
    sq_pb_uint(to, field, (uint64_t)value);
}

void sq_pb_sint(struct sq_buf *to, unsigned field, int64_t value)
{
    put_tag(to, field, VARINT);
    sq_pb_put_sint(to, value);
}

void sq_pb_double(struct sq_buf *to, unsigned field, double value)
{
    put_tag(to, field, FIXED64);
    sq_pb_put_double(to, value);
}

void sq_pb_fixed64(struct sq_buf *to, unsigned field, uint64_t value)
{
    put_tag(to, field, FIXED64);
    sq_pb_put_fixed64(to, value);
}

size_t sq_pb_begin(struct sq_buf *to, unsigned field)
{
    put_tag(to, field, BYTES);
    sq_buf_putc(to, 0); /* the length, if it fits one byte */
    return to->len;
}

void sq_pb_end(struct sq_buf *to, size_t begin)
{
    size_t len = to->len - begin, more = 0;

    for (size_t left = len >> 7; left; left >>= 7)
        more++;
    if (more) {
        sq_buf_put(to, "\0\0\0\0\0\0\0\0\0", more);
        memmove(to->data + begin + more, to->data + begin, len);
    }
    for (size_t i = 0; i <= more; i++, len >>= 7)
        to->data[begin - 1 + i] = (uint8_t)(len & 0x7f) | (i < more ? 0x80 : 0);
}

/* Length of the UTF-8 sequence at `p` (RFC 3629 section 4); 0: it is not one. */
static size_t sequence(const uint8_t *p, size_t left)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

    if (len == 1)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
               (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : len;
}

void sq_pb_text(struct sq_buf *to, unsigned field, struct sq_slice text)
{
    size_t begin = sq_pb_begin(to, field), from = 0, at = 0;

    while (at < text.len) {
        size_t len = sequence(text.data + at, text.len - at);
        if (len) {
            at += len;
            continue;
        }
        sq_buf_put(to, text.data + from, at - from);
        sq_buf_puts(to, "\xef\xbf\xbd");
        from = ++at;
    }
    sq_buf_put(to, text.data + from, text.len - from);
    sq_pb_end(to, begin);
}
