/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines in k6's three formats (engine specification 17). One logger per process, configured
 * once by the main thread before others start; lines may come from any thread and never interleave.
 */
#pragma once
#include <stdio.h>

#include "base/base.h"

enum sq_log_level { SQ_LOG_DEBUG, SQ_LOG_INFO, SQ_LOG_WARN, SQ_LOG_ERROR };
enum sq_log_format { SQ_LOG_TEXT, SQ_LOG_JSON, SQ_LOG_RAW };

struct sq_log_options {
    FILE *to; /* borrowed for the process's life; NULL: drop all lines */
    enum sq_log_format format;
    enum sq_log_level level; /* lines below it are dropped */
    bool colour;             /* terminal style: INFO[0003] message */
    /* Called around each line under the logger's lock, so that a progress display can move out of
     * the way; may be NULL. */
    void (*before)(void *user);
    void (*after)(void *user);
    void *user;
};

void sq_log_configure(const struct sq_log_options *options);
struct sq_log_options sq_log_options_now(void);

extern enum sq_log_level sq_log_level_now; /* read-only outside log.c */

/* `component` names the part that speaks ("ws", "engine"); it is printed at debug level only. */
#define sq_log(level, component, ...)                        \
    do {                                                     \
        if ((level) >= sq_log_level_now)                     \
            sq_log_write((level), (component), __VA_ARGS__); \
    } while (0)
void sq_log_write(enum sq_log_level level, const char *component, const char *fmt, ...)
    SQ_PRINTF(3, 4);

/* A line of any length with one extra field (`source=console`); `to` overrides the configured
 * stream when not NULL (--console-output). */
void sq_log_line(enum sq_log_level level, const char *text, size_t len, const char *source,
                 FILE *to);

/* From now on what goes to pipes and sockets is written by threads of their own, so that a reader
 * who stops does not stop the caller (base/writer.h says what becomes of lines that he does not
 * take). Files and terminals are written at once as before. Main thread. */
void sq_log_queue_start(void);
/* Text that shares a stream with the log, in order with its lines; not formatted. Any thread. */
void sq_log_text(FILE *to, const char *text, size_t len);
/* Waits until what is queued for the stream, or for all when NULL, is written, or until nothing was
 * taken for idle_ns (INT64_MAX: for ever). Any thread. */
void sq_log_flush(FILE *to, int64_t idle_ns);
/* What a process that aborts can still do. */
void sq_log_flush_dying(void);

/* From now on "***SECRET_REDACTED***" stands in every line where the text was (ENG-227). Copies it;
 * an empty text changes nothing. Any thread. */
void sq_log_hide(const char *text, size_t len);
