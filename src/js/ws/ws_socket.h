/* SPDX-License-Identifier: Apache-2.0 */
/* The script's side of a session: the Socket object, its handlers, the closing procedure and the
 * errors given to `error` handlers. On the VU's fiber. */
#pragma once
#include "js/ws/ws_session.h"

/* A Socket over the session; takes a reference of its own. */
JSValue ws_socket_new(JSContext *ctx, struct ws_session *s);

/* The object given to `error` handlers (WS-84); the second with `code` and `text`. */
JSValue ws_error_new(JSContext *ctx, const char *text);
JSValue ws_close_error_new(JSContext *ctx, unsigned code, struct sq_slice reason);

/* All handlers of the kind, in order; one added meanwhile waits for the next occurrence. Consumes
 * arg (undefined: the handlers get none). -1: an exception is pending, the rest was skipped. */
int ws_dispatch(struct ws_session *s, enum ws_event_kind kind, JSValue arg);
bool ws_listens(const struct ws_session *s, enum ws_event_kind kind);
int ws_report_error(struct ws_session *s, const char *text);
/* A write failed with rc: `error` handlers get the same words for ever after (WS-63). */
int ws_report_write_error(struct ws_session *s, int rc);
/* The closing procedure (WS-77), whoever began it. `number` is what `close` handlers see. `heard`:
 * the peer's stream is over, so a Close that cannot be written any more is no news. -1: an
 * exception is pending; the connection is given up all the same. */
int ws_close(struct ws_session *s, double number, bool heard);
/* With the session's tags; nothing before they are known. */
void ws_sample(struct ws_session *s, enum sq_metric_id metric, int64_t wall_ns, double value);
