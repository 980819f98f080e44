/* SPDX-License-Identifier: Apache-2.0 */
/* --out: where samples go while the run lasts (MET-40 to MET-42). Every output has a thread of its
 * own and a bounded queue before it, so that a slow disk or server costs samples of that output,
 * said once and counted at the end, but never holds up the run or its summary. The functions here
 * belong to the main thread. */
#pragma once
#include "base/error.h"
#include "engine/config.h"
#include "metrics/metrics.h"
#include "metrics/threshold.h"

struct sq_output_env { /* borrowed for the outputs' life */
    struct sq_registry *registry;
    const struct sq_thresholds *thresholds; /* NULL: none */
    size_t queue_max; /* samples that may wait for one output; 0: SQ_OUTPUT_QUEUE_MAX */
    const struct sq_config *config; /* the run's options; NULL: defaults */
    char *const *variables;         /* "NAME=value" up to a NULL; NULL: the process's environment */
};

/* A waiting sample costs about 50 bytes, and the tag sets it holds. */
enum { SQ_OUTPUT_QUEUE_MAX = 2000000, SQ_OUTPUT_FLUSH_MS = 200 };

/* Opens "TYPE" or "TYPE=ARG" for each of `specs` and starts the threads. All or none: SQ_EINVALID
 * or -errno with words. After init code, before VUs. */
struct sq_outputs;
SQ_MUST_USE int sq_outputs_open(char *const *specs, size_t count, const struct sq_output_env *env,
                                struct sq_outputs **out, struct sq_error *err);
/* A spec as it may be shown: what stands between "://" and "@" becomes "***". owned: free */
char *sq_output_spec_shown(const char *spec);
/* Hands a list of batches over to every output; never blocks for long. outputs may be NULL. */
void sq_outputs_push(struct sq_outputs *outputs, struct sq_sample_batch *batches);
/* Writes what is queued and ends the threads. One that has not finished by deadline_ns (of
 * sq_now_ns) drops the rest; when even then it hangs in a write it is left behind with a message
 * and touches nothing but its own memory any more. Returns how many were left behind: if any,
 * samples of theirs keep references to tag sets for ever, so the tag table must not be freed. */
size_t sq_outputs_close(struct sq_outputs *outputs, int64_t deadline_ns);

/* ---- for implementations: one file per type, all calls from the output's thread ---- */

struct sq_output; /* whose thread it is */
struct sq_output_type {
    const char *name;
    /* arg: NULL without "=". On the main thread. */
    int (*open)(struct sq_output *output, const char *arg, const struct sq_output_env *env,
                void **self, struct sq_error *err);
    /* Negative (-errno): nothing more can be written; the frame reports it once and stops. The
     * batch is borrowed, its ->next means nothing. */
    int (*samples)(void *self, const struct sq_sample_batch *batch);
    int (*flush)(void *self); /* every SQ_OUTPUT_FLUSH_MS */
    /* Ends the file (only `if_ok`: nothing failed before) and frees self. */
    int (*close)(void *self, bool if_ok);
};
extern const struct sq_output_type sq_output_json;
extern const struct sq_output_type sq_output_csv;
extern const struct sq_output_type sq_output_prometheus;
extern const struct sq_output_type sq_output_influxdb;
extern const struct sq_output_type sq_output_statsd;
extern const struct sq_output_type sq_output_opentelemetry;

/* write(2) until all is written. -errno, or SQ_ECANCELLED once the output was left behind: return
 * at once, touching nothing shared. */
int sq_output_write(struct sq_output *output, int fd, const void *data, size_t len);
/* close(2), which may take its time on a network file system. 0 or -errno. */
int sq_output_close_fd(struct sq_output *output, int fd);
/* The close's deadline has passed: whatever waits for a network gives up within 100 ms, because the
 * main thread waits for that. */
bool sq_output_is_late(const struct sq_output *output);
/* The run is over: what is sent now is the last of it. */
bool sq_output_is_closing(struct sq_output *output);
