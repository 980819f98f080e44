/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of WebSocket connections: a thread plays the server with raw bytes (net_kit.h), the
 * test runs the real loop. Case numbers (P..) are those of the protocol specification. */
#pragma once
#include "base/test.h"
#include "net/net_kit.h"
#include "net/ws_conn.h"
#include "net/ws_conn_private.h"

enum { TALK_GOT_MAX = 4 * 1024 * 1024 };

struct script {
    const char *head;  /* NULL: a proper 101; $ACCEPT is replaced */
    const char *extra; /* header lines of the proper 101 */
    const uint8_t *wire;
    size_t wire_len;
    unsigned cut_bytes; /* write in pieces of so many bytes */
    unsigned fin_delay_ms;
    bool answer;       /* a Close with a Close */
    bool stop_reading; /* after the wire: only wait for the client to go */
    bool reset;        /* RST after the wire */
    bool hang_up;      /* FIN after the wire */
    void (*play)(struct script *script, int fd); /* in place of all that comes after the head */
    /* results, valid after the peer was stopped */
    struct peer peer;
    char request[4096];
    uint8_t *got; /* the client's bytes behind the head */
    size_t got_len;
    bool fin;      /* the client closed first */
    bool fin_late; /* ... but not before fin_delay_ms had passed */
    int64_t answered_ns, gone_ns;
};

/* Bytes of the first frame in got[at..), 0: not whole. */
size_t talk_frame_at(const struct script *s, size_t at, uint8_t *opcode, uint8_t *first,
                     struct sq_slice *payload);
/* The client's frames unmasked: "pong:616263 close:03e8 ". */
void talk_frames(const struct script *s, char *out, size_t size);
bool talk_close_in(const struct script *s);
/* For `play`: reads until the client's Close or its end. */
void talk_gather(struct script *s, int fd);
void talk_wait_for_end(int fd);

struct user {
    struct kit kit;
    struct sq_ws_conn *conn; /* NULL once released */
    struct sq_ws_handler handler;
    struct sq_ws_open open;
    /* Called right after opening, before the loop runs; NULL: not */
    void (*give_up)(struct sq_ws_conn *conn);
    const char *userinfo; /* "user:password@" or NULL */
    bool secure;          /* wss, without looking at the certificate */
    char url[64];
    char log[8192];
    size_t log_len;
    bool over;
    bool keep; /* do not release at the end */
    bool timed_out;
    /* Called after each event is logged: 'o'pen, 'f'ailed, 'm'essage, 'i' ping, 'q' pong, 'e'nd,
     * 'd'rained; 't': every ms. */
    void (*hook)(struct user *u, char event);
    int messages, pings, ticks, resumed_at;
    uint64_t message_bytes, largest;
    int status, error, error_code, sent_code, end_error;
    enum sq_ws_end_kind end_kind;
    char text[256], reason[200], body[1100];
    struct sq_ws_timings timings;
    struct sq_timer tick;
    int64_t start_ns, end_ns;
    size_t read_waste_max; /* bytes in the connection's own buffers, at most */
    int state;             /* of the hook */
    void *arg;
};

void talk_user_init(struct user *u);
/* Connects and runs until everything is over; talk_done afterwards. */
void talk_run(struct user *u, struct script *s);
void talk_done(struct script *s);
void talk_release(struct user *u);
/* The user has seen enough. */
void talk_finish(struct user *u);

#define WIRE(text) .wire = (const uint8_t *)(text), .wire_len = sizeof(text) - 1

#define BYE "\x88\x02\x03\xe8"
#define CLEAN "close(1000,)clean"
