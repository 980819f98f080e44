/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests: self-registering, TAP on standard output. A test program takes substrings of names as
 * arguments and runs the tests that match one of them; without arguments, all. */
#pragma once
#include <stdio.h>
#include <string.h>

#include "base/base.h"

struct sq_test {
    const char *name;
    void (*run)(void);
    struct sq_test *next;
};

void sq_test_register(struct sq_test *test);
/* Marks the running test as failed and prints where and why; the test goes on. */
void sq_test_fail(const char *file, int line, const char *fmt, ...) SQ_PRINTF(3, 4);

#define SQ_TEST(name)                                              \
    static void test_##name(void);                                 \
    __attribute__((constructor)) static void register_##name(void) \
    {                                                              \
        static struct sq_test self = {#name, test_##name, NULL};   \
        sq_test_register(&self);                                   \
    }                                                              \
    static void test_##name(void)

#define SQ_CHECK(cond, ...)                                                \
    do {                                                                   \
        if (!(cond))                                                       \
            sq_test_fail_that(__FILE__, __LINE__, #cond, " " __VA_ARGS__); \
    } while (0)
void sq_test_fail_that(const char *file, int line, const char *what, const char *fmt, ...)
    SQ_PRINTF(4, 5);

/* Integers. The format and its arguments say which case it was. */
#define SQ_CHECK_EQ(got, want, ...)                                                  \
    do {                                                                             \
        long long got_ = (long long)(got), want_ = (long long)(want);                \
        if (got_ != want_)                                                           \
            sq_test_fail_eq(__FILE__, __LINE__, #got, got_, want_, " " __VA_ARGS__); \
    } while (0)
void sq_test_fail_eq(const char *file, int line, const char *what, long long got, long long want,
                     const char *fmt, ...) SQ_PRINTF(6, 7);

#define SQ_CHECK_STR(got, want)                                             \
    do {                                                                    \
        const char *got_ = (got), *want_ = (want);                          \
        if (!got_ || strcmp(got_, want_) != 0)                              \
            sq_test_fail(__FILE__, __LINE__, "%s is '%s', want '%s'", #got, \
                         got_ ? got_ : "(null)", want_);                    \
    } while (0)

#define SQ_CHECK_NEAR(got, want, slack)                                                     \
    do {                                                                                    \
        double got_ = (got), want_ = (want);                                                \
        if (!(got_ >= want_ - (slack) && got_ <= want_ + (slack)))                          \
            sq_test_fail(__FILE__, __LINE__, "%s is %.12g, want %.12g", #got, got_, want_); \
    } while (0)
