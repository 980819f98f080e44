/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command from a small process and writes what it used, as one line of JSON, to a file. A
 * child's peak memory starts with that of whoever forked it, which a scripting language spoils. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
    struct rusage use;
    int status;
    pid_t pid;

    if (argc < 3) {
        fputs("usage: bench_measure FILE COMMAND [ARGUMENT...]\n", stderr);
        return 2;
    }
    double start = milliseconds();
    int rc = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
    if (rc != 0) {
        fprintf(stderr, "bench_measure: %s: %s\n", argv[2], strerror(rc));
        return 127;
    }
    if (wait4(pid, &status, 0, &use) < 0)
        return 127;
    double wall = milliseconds() - start;
    FILE *file = fopen(argv[1], "w");
    if (!file)
        return 127;
    fprintf(file, "{\"wall_ms\":%.3f,\"cpu_ms\":%.3f,\"peak_kib\":%ld}\n", wall,
            (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3,
            use.ru_maxrss);
    fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
