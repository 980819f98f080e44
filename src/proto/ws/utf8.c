/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Past the bytes below 0x80, as far as whole steps and then single bytes go. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t w[4];

    for (; end - p >= 32; p += 32) {
        memcpy(w, p, 32);
        if ((w[0] | w[1] | w[2] | w[3]) & HIGH_BITS)
            break;
    }
    for (; end - p >= 8; p += 8) {
        memcpy(w, p, 8);
        if (w[0] & HIGH_BITS)
            break;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

/* Takes the first byte of a multi-byte sequence (Unicode table 3-7). */
static bool begin_sequence(struct sq_ws_utf8 *u, uint8_t byte)
{
    u->lo = 0x80;
    u->hi = 0xbf;
    if (byte < 0xc2)
        return false; /* a continuation, or an overlong form */
    if (byte < 0xe0) {
        u->need = 1;
    } else if (byte < 0xf0) {
        u->need = 2;
        if (byte == 0xe0)
            u->lo = 0xa0;
        if (byte == 0xed)
            u->hi = 0x9f; /* no surrogates */
    } else if (byte < 0xf5) {
        u->need = 3;
        if (byte == 0xf0)
            u->lo = 0x90;
        if (byte == 0xf4)
            u->hi = 0x8f; /* nothing above U+10FFFF */
    } else {
        return false;
    }
    return true;
}

int sq_ws_utf8_feed(struct sq_ws_utf8 *u, const void *data, size_t len)
{
    const uint8_t *p = data, *end;

    if (len == 0)
        return 0; /* data may be NULL */
    end = p + len;
    for (;;) {
        for (; u->need > 0; u->need--, p++) {
            if (p == end)
                return 0;
            if (*p < u->lo || *p > u->hi)
                return SQ_EUTF8;
            u->lo = 0x80;
            u->hi = 0xbf;
        }
        if (p < end && *p < 0x80)
            p = skip_ascii(p, end);
        if (p == end)
            return 0;
        u->non_ascii = true;
        if (!begin_sequence(u, *p++))
            return SQ_EUTF8;
    }
}

int sq_ws_utf8_end(const struct sq_ws_utf8 *u)
{
    return u->need > 0 ? SQ_EUTF8 : 0;
}

bool sq_ws_utf8_valid(struct sq_slice text)
{
    struct sq_ws_utf8 u = {0};

    return sq_ws_utf8_feed(&u, text.data, text.len) == 0 && sq_ws_utf8_end(&u) == 0;
}

/* Bytes of the sequence at p, 0 when it cannot be decoded. */
static size_t sequence_len(const uint8_t *p, const uint8_t *end)
{
    struct sq_ws_utf8 u = {0};

    if (*p < 0x80)
        return 1;
    if (!begin_sequence(&u, *p))
        return 0;
    size_t len = 1 + u.need;
    if ((size_t)(end - p) < len || sq_ws_utf8_feed(&u, p + 1, len - 1) < 0)
        return 0;
    return len;
}

int sq_ws_utf8_replace(struct sq_slice text, struct sq_buf *out)
{
    const uint8_t *p = text.data, *good = p, *end;

    if (text.len == 0)
        return 0;
    end = p + text.len;
    while (p < end) {
        size_t len;
        int rc;

        if (*p < 0x80)
            p = skip_ascii(p, end);
        if (p == end)
            break;
        len = sequence_len(p, end);
        if (len > 0) {
            p += len;
            continue;
        }
        rc = sq_buf_append(out, good, (size_t)(p - good));
        if (rc == 0)
            rc = sq_buf_append(out, "\xef\xbf\xbd", 3);
        if (rc < 0)
            return rc;
        good = ++p;
    }
    return sq_buf_append(out, good, (size_t)(end - good));
}
