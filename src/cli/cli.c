/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "vu/run.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", sq_cli_run},   {"archive", sq_cli_archive},       {"inspect", sq_cli_inspect},
    {"new", sq_cli_new},   {"version", sq_cli_version},       {"stats", sq_cli_stats},
    {"echo", sq_cli_echo}, {"completion", sq_cli_completion},
};

static void print_help(FILE *to, const char *command)
{
    char *text = sq_help(command);

    fputs(text, to);
    free(text);
}

void sq_cli_print_help(const char *command)
{
    print_help(stdout, command);
}

/* A standard descriptor that the caller closed must not become that of a socket or an output file,
 * into which the log would then go. Opened the wrong way round, so that using it fails and is
 * reported. */
static void occupy_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return;
}

/* What a command printed and nobody got is a failure; a run says so itself and keeps the code of
 * the test. */
static int printed(int exit_code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    fprintf(stderr, "squall: cannot write to standard output: %s\n", strerror(errno));
    return SQ_EXIT_OTHER;
}

int sq_cli_main(int argc, char **argv)
{
    occupy_standard_descriptors();
    if (argc < 2) {
        print_help(stderr, NULL);
        return SQ_EXIT_OTHER;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout, NULL);
        return printed(SQ_EXIT_OK);
    }
    if (strcmp(name, "--version") == 0)
        return printed(sq_cli_version(1, argv));
    for (size_t i = 0; i < SQ_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0) {
            int exit_code = commands[i].run(argc - 1, argv + 1);
            return exit_code != SQ_EXIT_OK || strcmp(name, "run") == 0 ? exit_code
                                                                       : printed(exit_code);
        }
    const char *names[SQ_COUNT(commands)];
    for (size_t i = 0; i < SQ_COUNT(commands); i++)
        names[i] = commands[i].name;
    const char *near = sq_text_nearest(name, names, SQ_COUNT(names));
    fprintf(stderr, "squall: unknown command '%s'%s%s%s; 'squall --help' lists them\n", name,
            near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return SQ_EXIT_OTHER;
}

static int print_version(const struct sq_flags *flags, struct sq_error *err)
{
    const char *json = sq_flags_get(flags, "json");
    char *const *args;

    if (sq_flags_args(flags, &args) > 0)
        return sq_error_set(err, SQ_EINVALID, "it takes no argument, got '%s'", args[0]);
    if (json && strcmp(json, "false") != 0)
        printf("{\"version\":\"%s\"}\n", SQUALL_VERSION);
    else
        printf("squall v%s\n", SQUALL_VERSION);
    return 0;
}

int sq_cli_version(int argc, char **argv)
{
    struct sq_error err = {0};
    struct sq_flags *flags = NULL;

    int rc = sq_flags_parse("version", argc - 1, argv + 1, &flags, &err);
    if (rc == 0 && sq_flags_help(flags))
        sq_cli_print_help("version");
    else if (rc == 0)
        rc = print_version(flags, &err);
    if (rc < 0)
        fprintf(stderr, "squall version: %s\n", err.text);
    sq_flags_free(flags);
    return rc < 0 ? SQ_EXIT_OTHER : SQ_EXIT_OK;
}

void sq_cli_raise_descriptors(int64_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur != RLIM_INFINITY && wanted + 64 > (int64_t)limit.rlim_cur)
        sq_log(SQ_LOG_WARN, "cli",
               "%lld VUs may need more file descriptors than the limit of %llu allows; connections "
               "above it "
               "will fail. Raise it with 'ulimit -Hn %lld' (as root), in "
               "/etc/security/limits.conf, or with "
               "LimitNOFILE= in a systemd unit",
               (long long)wanted, (unsigned long long)limit.rlim_cur, (long long)(wanted + 1024));
}
