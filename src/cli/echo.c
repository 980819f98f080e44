/* SPDX-License-Identifier: Apache-2.0 */
/* squall echo: the built-in server as a command. Prints the address it listens on, then serves
 * until a signal. */
#include "echo/echo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/cli.h"
#include "vu/run.h"

static struct sq_loop *loop;

static void signal_ready(struct sq_io *io, unsigned events)
{
    struct signalfd_siginfo info;

    (void)events;
    if (read(io->fd, &info, sizeof info) > 0)
        sq_loop_stop(loop);
}

static int catch_signals(struct sq_io *io)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    io->ready = signal_ready;
    return sq_io_start(loop, io, signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), SQ_IO_READ);
}

static int serve(const struct sq_echo_options *options, struct sq_error *err)
{
    struct sq_io signals = {.fd = -1};
    struct sq_echo *echo = NULL;
    int rc = sq_loop_new(&loop, err);

    if (rc < 0)
        return rc;
    if ((rc = catch_signals(&signals)) < 0)
        sq_error_set(err, rc, "cannot watch for signals: %s", sq_status_text(rc));
    else
        rc = sq_echo_start(loop, options, &echo, err);
    if (rc >= 0) {
        printf("%s://%s:%u/\n", options->tls ? "wss" : "ws",
               options->address ? options->address : "127.0.0.1", sq_echo_port(echo));
        fflush(stdout);
        sq_loop_run(loop);
    }
    sq_echo_stop(echo);
    int fd = signals.fd;
    sq_io_stop(loop, &signals);
    close(fd);
    sq_loop_free(loop);
    return rc;
}

int sq_cli_echo(int argc, char **argv)
{
    struct sq_error err = {0};
    struct sq_flags *flags = NULL;
    char *const *args;

    int rc = sq_flags_parse("echo", argc - 1, argv + 1, &flags, &err);
    if (rc == 0 && sq_flags_help(flags)) {
        sq_cli_print_help("echo");
        sq_flags_free(flags);
        return SQ_EXIT_OK;
    }
    if (rc == 0 && sq_flags_args(flags, &args) > 0)
        rc = sq_error_set(&err, SQ_EINVALID, "echo takes no argument, got '%s'", args[0]);
    if (rc == 0) {
        const char *port = sq_flags_get(flags, "port"), *tls = sq_flags_get(flags, "tls");
        char *end = NULL;
        long number = port ? strtol(port, &end, 10) : 0;
        struct sq_echo_options options = {
            .address = sq_flags_get(flags, "listen"),
            .port = (uint16_t)number,
            .tls = tls && strcmp(tls, "false") != 0,
            .no_deflate = sq_flags_get(flags, "no-deflate") != NULL,
            .tls_cert = sq_flags_get(flags, "cert"),
            .tls_key = sq_flags_get(flags, "key"),
        };
        sq_cli_raise_descriptors(0);
        if (port && (*end || end == port || number < 0 || number > 65535))
            rc = sq_error_set(&err, SQ_EINVALID, "--port: '%s' is not a port number (0 to 65535)",
                              port);
        else
            rc = serve(&options, &err);
    }
    if (rc < 0)
        fprintf(stderr, "squall echo: %s\n", err.text);
    sq_flags_free(flags);
    return rc < 0 ? SQ_EXIT_OTHER : SQ_EXIT_OK;
}
