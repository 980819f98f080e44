/* SPDX-License-Identifier: Apache-2.0 */
/* Payload of Close frames, RFC 6455 5.5.1 and 7.4; rules CL-1..CL-7; k6's words, WS-84. Pure. */
#pragma once
#include "base/base.h"
#include "base/buf.h"

enum sq_ws_close_code {
    SQ_WS_CLOSE_NORMAL = 1000,
    SQ_WS_CLOSE_GOING_AWAY = 1001,
    SQ_WS_CLOSE_PROTOCOL = 1002,
    SQ_WS_CLOSE_UNSUPPORTED = 1003,
    SQ_WS_CLOSE_NO_STATUS = 1005, /* never on the wire: an empty payload */
    SQ_WS_CLOSE_ABNORMAL = 1006,  /* never on the wire: no Close frame came */
    SQ_WS_CLOSE_BAD_DATA = 1007,
    SQ_WS_CLOSE_TOO_BIG = 1009,
};

struct sq_ws_close {
    uint16_t code;          /* 1005 for an empty payload */
    struct sq_slice reason; /* borrowed from the payload */
};

/* 0; SQ_EPROTO: one byte or a code that no peer may send, fail with 1002; SQ_EUTF8: the reason is
 * not UTF-8, fail with 1007. *out is filled as far as possible in every case. */
SQ_MUST_USE int sq_ws_close_parse(struct sq_slice payload, struct sq_ws_close *out);
/* 1000-1003, 1007-1014, 3000-4999 (CL-2; 1014 is registered since k6's list was made). */
bool sq_ws_close_code_valid(unsigned code);
/* Returns the payload bytes written: 0 for code 1005; the code is written as it is, valid or not. A
 * reason of more than 123 bytes is cut at a code point. */
size_t sq_ws_close_build(uint8_t out[125], uint16_t code, struct sq_slice reason);

/* The name in k6's text, or NULL: "internal server error" for 1011. Static. */
const char *sq_ws_close_name(unsigned code);
/* Appends "websocket: close 1011 (internal server error): why" (WS-84). */
void sq_ws_close_text(unsigned code, struct sq_slice reason, struct sq_buf *out);
