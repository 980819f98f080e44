/* SPDX-License-Identifier: Apache-2.0 */
/* A client WebSocket connection: dialling (proxy, DNS, TCP, TLS), opening handshake, frames,
 * closing handshake. RFC 6455, RFC 7692; rules HS, HR, FR, FW, CT, TX, CL, PMD of the protocol
 * specification.
 *
 * Knows neither JS nor metrics: it calls a handler and hands up a struct of timings. Loop's thread.
 *
 * Handlers may call any function here on the same connection, sq_ws_conn_release included; the
 * memory then goes when the outermost callback has returned. Handlers may also switch fibers: a
 * callback that delivers an event may return much later than it was called in CPU terms, but always
 * before the loop's turn goes on, so borrowed slices hold until it returns. */
#pragma once
#include "base/base.h"
#include "base/error.h"
#include "net/net.h"

struct sq_ws_conn;
struct sq_ws_trace_options;

enum sq_ws_opcode_kind { SQ_WS_KIND_TEXT = 1, SQ_WS_KIND_BINARY = 2 };

struct sq_ws_header {
    struct sq_slice name, value;
};

/* permessage-deflate as asked for (PMD-1). Zero: no compression. */
struct sq_ws_deflate_offer {
    bool offer;
    bool server_no_context_takeover, client_no_context_takeover;
    uint8_t server_max_window_bits; /* 0: not mentioned */
    uint8_t client_max_window_bits; /* 0: not mentioned; 255: named without a value */
    int level;                      /* zlib level, 0: default */
    int mem_level;                  /* 0: default */
    uint32_t threshold_bytes;       /* shorter messages go plain when no context is kept */
};

struct sq_ws_open {
    struct sq_slice url; /* absolute ws:// or wss://, as the script gave it */
    unsigned url_flags;  /* enum sq_url_flags (proto/url.h); 0: k6/ws's reading */
    /* Sent in this order after our own; names canonical; values already stringified. An entry named
     * Host, User-Agent or Cookie replaces ours; an empty User-Agent removes it; the five forbidden
     * names fail the connection before anything is sent (WS-13). Bad names are dropped, CR, LF and
     * NUL in values become spaces (WS-15). */
    const struct sq_ws_header *headers;
    size_t headers_count;
    struct sq_slice user_agent; /* the default; empty: none */
    struct sq_slice cookie;     /* from the jar; empty: none */
    struct sq_ws_deflate_offer deflate;
    uint32_t vu_id;                   /* picks the source address: pool[(id - 1) mod size] */
    int64_t handshake_timeout_ns;     /* 0: 60 s */
    int64_t close_timeout_ns;         /* 0: 10 s */
    uint64_t message_bytes_max;       /* 0: no limit */
    uint64_t fragment_bytes;          /* 0: one frame a message */
    int64_t ping_interval_ns;         /* 0: no pings of our own (CT-6) */
    int64_t pong_timeout_ns;          /* from a Ping to any Pong; 0: for ever */
    bool lenient;                     /* the rules marked [L] */
    bool http2;                       /* RFC 8441: ws by prior knowledge, wss when ALPN has it */
    struct sq_net_counters *counters; /* borrowed; may be NULL */
    const struct sq_ws_trace_options *trace; /* --ws-debug; NULL: not traced */
};

/* Monotonic ns; 0: not reached. Points TM of the protocol specification. */
struct sq_ws_timings {
    int64_t dial_start_ns, resolved_ns, tcp_ns, tls_ns, request_sent_ns, first_byte_ns, end_ns;
};

struct sq_ws_handshake {
    bool opened;
    int status;                         /* 0: no response was parsed */
    const struct sq_ws_header *headers; /* of the response, in wire order, names as sent */
    size_t headers_count;
    struct sq_slice body;     /* of a refusal: at most 1024 bytes */
    struct sq_slice protocol; /* negotiated or unasked-for subprotocol, empty: none */
    struct sq_slice extensions;
    const char *remote_ip;  /* without port; "" when none was reached */
    int error;              /* sq_status when not opened */
    const char *error_text; /* k6's words where scripts compare them: "websocket: bad handshake" */
    int error_code;         /* MET-38 number for the error_code tag */
    const char *reason;     /* the rule that failed, for the log; may equal error_text */
    struct sq_ws_timings timings;
};

enum sq_ws_end_kind {
    SQ_WS_END_CLOSE,    /* the peer's Close frame arrived (code 1005 when its body was empty) */
    SQ_WS_END_EOF,      /* the stream ended without a Close frame */
    SQ_WS_END_PROTOCOL, /* the peer broke a rule: our Close `sent_code` is out already */
    SQ_WS_END_READ,     /* reset or another read or TLS error */
    SQ_WS_END_TIMEOUT,  /* the peer did not answer our Close or Ping in time */
};

struct sq_ws_end {
    enum sq_ws_end_kind kind;
    uint16_t code;          /* peer's code for SQ_WS_END_CLOSE, else 1006 */
    struct sq_slice reason; /* peer's */
    uint16_t sent_code;     /* for SQ_WS_END_PROTOCOL: 1002, 1007 or 1009 */
    int error;              /* negative status for READ */
    const char *text;       /* what happened, one line */
    bool clean;             /* Close frames went both ways */
};

struct sq_ws_handler {
    /* Exactly once, never inside sq_ws_conn_open. Borrowed for the call. */
    void (*handshake)(void *user, const struct sq_ws_handshake *result);
    /* A whole message, UTF-8 checked. `data` is borrowed for the call and has 16 readable bytes
     * behind it. `ascii`: no byte above 0x7f. */
    void (*message)(void *user, enum sq_ws_opcode_kind kind, struct sq_slice data, bool ascii);
    /* The Pong is already queued. */
    void (*ping)(void *user, struct sq_slice payload);
    /* Pongs to pings of ping_interval_ns are not told. */
    void (*pong)(void *user, struct sq_slice payload);
    /* Once, the last callback: the receiving side is over. For SQ_WS_END_CLOSE that we did not
     * start, no answer was sent yet if `answer_close` below is false. */
    void (*end)(void *user, const struct sq_ws_end *end);
    /* Queued output fell to a quarter of SQ_WS_HIGH_WATER after having been above it; also during a
     * pause: a user may wait for room while he cannot take what comes in. May be NULL. */
    void (*drained)(void *user);
    /* true: the connection answers the peer's Close itself (k6/websockets). false: `end` is called
     * first and the user answers by sq_ws_conn_close (k6/ws), or release answers for him. */
    bool answer_close;
};

enum { SQ_WS_HIGH_WATER = 1024 * 1024 };

/* Starts dialling. Never fails synchronously: bad URLs and forbidden headers arrive as a failed
 * handshake in the same or the next turn. *request is borrowed for the call only; `handler` and
 * `user` until release. Owned by the caller: exactly one sq_ws_conn_release. */
struct sq_ws_conn *sq_ws_conn_open(struct sq_net *net, const struct sq_ws_open *request,
                                   const struct sq_ws_handler *handler, void *user);

/* Queue one message; the bytes are copied (and masked) before the call returns. 0, or a negative
 * status: -EPIPE "websocket: close sent" once a Close went out; the stored write error; -EAGAIN
 * never. The frame leaves at the end of the turn, or at once when 16 KiB have gathered. */
SQ_MUST_USE int sq_ws_conn_send(struct sq_ws_conn *conn, enum sq_ws_opcode_kind kind,
                                struct sq_slice data);
SQ_MUST_USE int sq_ws_conn_ping(struct sq_ws_conn *conn, struct sq_slice payload);
/* Queues a Close frame and flushes. code 1005: empty payload. The code is sent as it is, valid or
 * not (k6/ws needs that). The same results as send. */
SQ_MUST_USE int sq_ws_conn_close(struct sq_ws_conn *conn, uint16_t code, struct sq_slice reason);
/* Words for a negative result of the three above: "websocket: close sent", or the system's. */
const char *sq_ws_conn_error_text(const struct sq_ws_conn *conn, int rc);

/* Message bytes not yet handed to the kernel (payloads only, WHATWG bufferedAmount). */
uint64_t sq_ws_conn_buffered(const struct sq_ws_conn *conn);
/* Bytes of messages that were accepted and will never be sent: a Close or an error came first. */
uint64_t sq_ws_conn_lost(const struct sq_ws_conn *conn);
/* While paused nothing is read and no handler but `drained` is called; control frames already in
 * memory are answered; TCP back-pressure builds up. Nests not: idempotent. */
void sq_ws_conn_pause(struct sq_ws_conn *conn);
void sq_ws_conn_resume(struct sq_ws_conn *conn);
bool sq_ws_conn_close_sent(const struct sq_ws_conn *conn);

/* Gives the connection up: no handler is called any more and the counters are no longer touched.
 * An unfinished handshake is aborted at once. An open connection without a Close sent gets none:
 * call sq_ws_conn_close first. Queued bytes still leave, then the connection lingers in `net` for
 * the peer's Close and FIN (CL-4, CL-8: at most 1 s after the Close went out). */
void sq_ws_conn_release(struct sq_ws_conn *conn);
/* Like release, without any wait: TCP is closed now. */
void sq_ws_conn_abort(struct sq_ws_conn *conn);
