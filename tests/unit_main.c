/* SPDX-License-Identifier: Apache-2.0 */
/* The main function of every unit test program: TAP, then the line "N passed, N failed". */
#include <stdarg.h>
#include <stdlib.h>

#include "base/test.h"

static struct sq_test *first, **last = &first;
static bool failed;

void sq_test_register(struct sq_test *test)
{
    *last = test;
    last = &test->next;
}

void sq_test_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    failed = true;
    va_start(args, fmt);
    printf("# %s:%d: ", file, line);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
}

void sq_test_fail_that(const char *file, int line, const char *what, const char *fmt, ...)
{
    va_list args;

    failed = true;
    va_start(args, fmt);
    printf("# %s:%d: %s", file, line, what);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
}

void sq_test_fail_eq(const char *file, int line, const char *what, long long got, long long want,
                     const char *fmt, ...)
{
    va_list args;

    failed = true;
    va_start(args, fmt);
    printf("# %s:%d: %s is %lld, want %lld", file, line, what, got, want);
    vprintf(fmt, args);
    putchar('\n');
    va_end(args);
}

static bool selected(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    int count = 0, bad = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct sq_test *t = first; t; t = t->next) {
        if (!selected(t->name, argc, argv))
            continue;
        failed = false;
        t->run();
        count++;
        bad += failed;
        printf("%s %d - %s\n", failed ? "not ok" : "ok", count, t->name);
    }
    printf("1..%d\n%d passed, %d failed\n", count, count - bad, bad);
    return bad || !count ? EXIT_FAILURE : EXIT_SUCCESS;
}
