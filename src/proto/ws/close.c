/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/ws/close.h"

#include "proto/ws/utf8.h"

enum { REASON_MAX = 123 };

bool sq_ws_close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

int sq_ws_close_parse(struct sq_slice payload, struct sq_ws_close *out)
{
    *out = (struct sq_ws_close){.code = SQ_WS_CLOSE_NO_STATUS};
    if (payload.len == 0)
        return 0;
    if (payload.len == 1)
        return SQ_EPROTO;
    out->code = (uint16_t)(payload.data[0] << 8 | payload.data[1]);
    out->reason = sq_slice(payload.data + 2, payload.len - 2);
    if (!sq_ws_close_code_valid(out->code))
        return SQ_EPROTO;
    return sq_ws_utf8_valid(out->reason) ? 0 : SQ_EUTF8;
}

size_t sq_ws_close_build(uint8_t out[125], uint16_t code, struct sq_slice reason)
{
    size_t len = SQ_MIN(reason.len, (size_t)REASON_MAX);

    if (code == SQ_WS_CLOSE_NO_STATUS)
        return 0;
    if (len < reason.len)
        while (len > 0 && (reason.data[len] & 0xc0) == 0x80)
            len--;
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    if (len > 0)
        memcpy(out + 2, reason.data, len);
    return 2 + len;
}

const char *sq_ws_close_name(unsigned code)
{
    static const char *const names[] = {
        [0] = "normal",
        [1] = "going away",
        [2] = "protocol error",
        [3] = "unsupported data",
        [5] = "no status",
        [6] = "abnormal closure",
        [7] = "invalid payload data",
        [8] = "policy violation",
        [9] = "message too big",
        [10] = "mandatory extension missing",
        [11] = "internal server error",
    };

    return code >= 1000 && code - 1000 < SQ_COUNT(names) ? names[code - 1000] : NULL;
}

void sq_ws_close_text(unsigned code, struct sq_slice reason, struct sq_buf *out)
{
    const char *name = sq_ws_close_name(code);

    sq_buf_printf(out, "websocket: close %u", code);
    if (name)
        sq_buf_printf(out, " (%s)", name);
    if (reason.len > 0) {
        sq_buf_puts(out, ": ");
        sq_buf_put(out, reason.data, reason.len);
    }
}
