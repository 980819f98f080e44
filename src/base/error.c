/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int sq_error_set(struct sq_error *err, int code, const char *fmt, ...)
{
    va_list args;

    if (!err || err->code)
        return code;
    err->code = code;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return code;
}

void sq_error_prefix(struct sq_error *err, const char *fmt, ...)
{
    char old[sizeof err->text];
    va_list args;

    if (!err)
        return;
    memcpy(old, err->text, sizeof old);
    va_start(args, fmt);
    int used = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (used < 0 || (size_t)used + 3 > sizeof err->text)
        return;
    memcpy(err->text + used, ": ", 2);
    size_t room = sizeof err->text - (size_t)used - 2, len = SQ_MIN(strlen(old), room - 1);
    memcpy(err->text + used + 2, old, len);
    err->text[(size_t)used + 2 + len] = '\0';
}

const char *sq_status_text(int code)
{
    switch (code) {
    case SQ_EPROTO:
        return "protocol error";
    case SQ_EINVALID:
        return "invalid value";
    case SQ_ETLS:
        return "TLS failure";
    case SQ_EDNS:
        return "name resolution failure";
    case SQ_ETOOBIG:
        return "limit exceeded";
    case SQ_EUTF8:
        return "text is not UTF-8";
    case SQ_EEOF:
        return "unexpected EOF";
    case SQ_ECANCELLED:
        return "operation was canceled";
    case SQ_EBLOCKED:
        return "target is blocked by an option";
    case SQ_EPROXY:
        return "proxy refused";
    case SQ_EREFUSED:
        return "websocket: bad handshake";
    case SQ_ESCRIPT:
        return "script exception";
    default:
        return strerror(-code);
    }
}
