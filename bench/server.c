/* SPDX-License-Identifier: Apache-2.0 */
/* The echo server as a process of its own for bench/run: prints its port, serves until standard
 * input ends, then prints its own CPU time as one line of JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "echo/echo.h"

struct server {
    struct sq_loop *loop;
    struct sq_io input;
};

static void input_ready(struct sq_io *io, unsigned events)
{
    struct server *s = SQ_CONTAINER_OF(io, struct server, input);
    char ignored[256];

    (void)events;
    if (read(io->fd, ignored, sizeof ignored) <= 0)
        sq_loop_stop(s->loop);
}

int main(int argc, char **argv)
{
    struct server s = {.input = {.ready = input_ready, .fd = -1}};
    struct sq_echo_options options = {0};
    struct sq_error err = {0};
    struct sq_echo *echo;
    struct sq_echo_stats stats;
    struct rusage use;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--tls"))
            options.tls = true;
        else if (!strcmp(argv[i], "--port") && i + 1 < argc)
            options.port = (uint16_t)atoi(argv[++i]);
    }
    if (sq_loop_new(&s.loop, &err) < 0 || sq_echo_start(s.loop, &options, &echo, &err) < 0) {
        fprintf(stderr, "bench_server: %s\n", err.text);
        return 1;
    }
    /* A terminal or a pipe ends; where it is neither, a signal ends us. */
    if (sq_io_start(s.loop, &s.input, STDIN_FILENO, SQ_IO_READ) < 0)
        s.input.fd = -1;
    printf("%u\n", sq_echo_port(echo));
    fflush(stdout);
    sq_loop_run(s.loop);

    sq_echo_stats(echo, &stats);
    getrusage(RUSAGE_SELF, &use);
    printf("{\"accepted\":%llu,\"messages\":%llu,\"cpu_s\":%.3f}\n",
           (unsigned long long)stats.accepted, (unsigned long long)stats.messages,
           (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
               (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6);
    sq_io_stop(s.loop, &s.input);
    sq_echo_stop(echo);
    sq_loop_free(s.loop);
    return 0;
}
