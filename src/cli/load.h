/* SPDX-License-Identifier: Apache-2.0 */
/* A test from its command line to a script whose init code has run and whose options are
 * consolidated: what run, inspect and archive have in common. Main thread. */
#pragma once
#include "engine/config.h"
#include "js/script.h"
#include "vu/run.h"

struct sq_cli_test {
    struct sq_flags *flags;
    struct sq_config config;
    struct sq_run run;
    struct sq_js_bundle *bundle;
    struct sq_thresholds *thresholds;
    struct sq_outputs *outputs;
    struct sq_cli_progress *progress;
    struct sq_rest *rest;
    const char *path;      /* as given: a file, an archive, or - */
    char *main_name;       /* file:///... of the main script */
    char *archive_options; /* JSON of an archive's options; NULL: the script speaks for itself */
    int exit_code;
    bool run_ready;
};

void sq_cli_test_init(struct sq_cli_test *t);
/* In release the end of the process frees nearly everything at once. */
void sq_cli_test_deinit(struct sq_cli_test *t);

/* Remembers the first failure's exit code and passes the negative status on. */
int sq_cli_fail(struct sq_cli_test *t, int rc, int exit_code);

/* Flags, the one positional argument, logging. Nothing else is ready when --help was asked for. */
SQ_MUST_USE int sq_cli_test_arguments(struct sq_cli_test *t, int argc, char **argv,
                                      struct sq_error *err);
/* Every level of options; script_json NULL: all but the script's. */
SQ_MUST_USE int sq_cli_test_options(struct sq_cli_test *t, const char *script_json,
                                    struct sq_error *err);
/* Reads the file, archive or standard input, runs the init code and consolidates. *script_json:
 * the script's (or archive's) options alone, NULL when it has none; may be a NULL pointer. Owned:
 * free. */
SQ_MUST_USE int sq_cli_test_load(struct sq_cli_test *t, char **script_json, struct sq_error *err);
/* All of the above, for commands that do not run the test. */
SQ_MUST_USE int sq_cli_test_open(struct sq_cli_test *t, int argc, char **argv, char **script_json,
                                 struct sq_error *err);

/* Reports a failure, frees everything, flushes; the exit code. */
int sq_cli_test_end(struct sq_cli_test *t, int rc, const struct sq_error *err);
/* Sets or replaces. */
void sq_cli_add_env(struct sq_pair_list *env, const char *key, const char *value);

/* archive.c: sources, options and environment out of an archive into the test. */
SQ_MUST_USE int sq_cli_unpack(struct sq_cli_test *t, struct sq_slice tar, struct sq_error *err);
