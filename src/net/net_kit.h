/* SPDX-License-Identifier: Apache-2.0 */
/* For the unit tests of src/net: scripted peers in threads on 127.0.0.1, and dials run to their
 * end. */
#pragma once
#include <pthread.h>

#include "base/test.h"
#include "net/dial.h"

struct peer {
    void (*serve)(struct peer *peer, int fd); /* in the peer's thread, once per connection */
    void *arg;
    uint16_t port;
    int listen_fd, stop_fd, stop_write_fd;
    int served; /* read after peer_stop */
    pthread_t thread;
};
void peer_start(struct peer *peer); /* `serve` and `arg` are set */
void peer_stop(struct peer *peer);
/* Reads until `len` bytes are there (5 s at most per read); false: not that many came. */
bool peer_read(int fd, void *data, size_t len);
/* Reads up to and with the blank line of a head; NUL-terminated. */
bool peer_read_head(int fd, char *data, size_t size);
void peer_write(int fd, const void *data, size_t len);
/* A port of 127.0.0.1 where nobody listens (bound by *fd, which the caller closes). */
uint16_t dead_port(int *fd);

struct outcome {
    bool done;
    int error, error_code;
    char text[200], remote_ip[64];
    struct sq_stream *stream; /* owned by the test */
    int64_t start_ns, resolved_ns, tcp_ns, tls_ns;
};

struct kit {
    struct sq_loop *loop;
    struct sq_net *net;
    struct sq_net_options options; /* k6's defaults without the environment's proxies and key log */
};
void kit_init(struct kit *kit);
bool kit_open(struct kit *kit); /* after changes to `options` */
void kit_close(struct kit *kit);
struct target {
    const char *host;
    uint16_t port;
    bool secure;
    uint32_t vu_id;
    int64_t limit_ms; /* 0: 5 s */
    struct sq_net_counters *counters;
};
/* Runs the loop until the dial is over. */
struct outcome kit_dial(struct kit *kit, struct target target);
void kit_run_for(struct kit *kit, int64_t ms);
/* Blocking exchange on a dialled stream, 5 s at most. */
bool stream_put(struct sq_stream *s, const void *data, size_t len);
size_t stream_get(struct sq_stream *s, void *data, size_t len, int *status);
