/* SPDX-License-Identifier: Apache-2.0 */
#include "output/output.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

static const struct sq_output_type *const types[] = {
    &sq_output_json,     &sq_output_csv,    &sq_output_prometheus,
    &sq_output_influxdb, &sq_output_statsd, &sq_output_opentelemetry,
};
#define AVAILABLE                                                                     \
    "json, csv, experimental-prometheus-rw (or prometheus-rw), influxdb, statsd and " \
    "opentelemetry"

/* Other names of a type. */
static const struct {
    const char *name, *type;
    bool warn; /* k6 has renamed it */
} aliases[] = {
    {"prometheus-rw", "experimental-prometheus-rw", false},
    {"experimental-opentelemetry", "opentelemetry", true},
};

/* A batch that several outputs read; the last one frees it. */
struct shared {
    struct sq_sample_batch *batch;
    _Atomic unsigned refs;
};

struct item {
    struct item *next;
    struct shared *shared;
};

struct sq_output {
    const struct sq_output_type *type;
    void *self;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* work for the thread, or the end */
    struct item *first, **last;
    size_t queued, queue_max; /* samples */
    bool closing, done;
    bool writing;          /* the thread is in a system call and touches nothing shared */
    bool left_behind;      /* set only while `writing` */
    uint64_t dropped;      /* samples */
    _Atomic bool late;     /* the deadline has passed: drop what is queued */
    bool failed, orphaned; /* the thread's own; orphaned: it has seen left_behind */
};

struct sq_outputs {
    struct sq_output **items;
    size_t count;
};

/* ---- the thread ---- */

static void output_free(struct sq_output *output)
{
    pthread_mutex_destroy(&output->lock);
    pthread_cond_destroy(&output->wake);
    free(output);
}

/* orphaned: the run may be over, and its tag sets are none of our business. */
static void shared_unref(struct shared *shared, bool orphaned)
{
    if (atomic_fetch_sub_explicit(&shared->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (orphaned)
        free(shared->batch);
    else
        sq_sample_batch_free(shared->batch);
    free(shared);
}

static void system_call_begin(struct sq_output *output)
{
    pthread_mutex_lock(&output->lock);
    output->writing = true;
    if (output->closing)
        pthread_cond_broadcast(&output->wake);
    pthread_mutex_unlock(&output->lock);
}

static void system_call_end(struct sq_output *output)
{
    int saved = errno;

    pthread_mutex_lock(&output->lock);
    output->writing = false;
    output->orphaned = output->left_behind;
    pthread_mutex_unlock(&output->lock);
    errno = saved;
}

int sq_output_write(struct sq_output *output, int fd, const void *data, size_t len)
{
    const char *at = data;

    while (len > 0 && !output->orphaned) {
        system_call_begin(output);
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EAGAIN)
            n = poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 1000) < 0 ? -1 : 0;
        system_call_end(output);
        if (n < 0 && errno != EINTR)
            return -errno;
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return output->orphaned ? SQ_ECANCELLED : 0;
}

int sq_output_close_fd(struct sq_output *output, int fd)
{
    system_call_begin(output);
    int rc = close(fd) < 0 ? -errno : 0;
    system_call_end(output);
    return rc;
}

bool sq_output_is_late(const struct sq_output *output)
{
    return atomic_load(&output->late);
}

bool sq_output_is_closing(struct sq_output *output)
{
    pthread_mutex_lock(&output->lock);
    bool closing = output->closing;
    pthread_mutex_unlock(&output->lock);
    return closing;
}

static void judge(struct sq_output *output, int rc)
{
    if (rc >= 0 || output->failed)
        return;
    output->failed = true;
    if (!output->orphaned)
        sq_log(SQ_LOG_ERROR, "output", "output %s: %s; it gets no more samples, the run goes on",
               output->type->name, sq_status_text(rc));
}

static void write_items(struct sq_output *output, struct item *items)
{
    while (items) {
        struct item *next = items->next;
        size_t count = items->shared->batch->count;
        if (atomic_load(&output->late) && !output->orphaned) {
            pthread_mutex_lock(&output->lock);
            output->dropped += count;
            pthread_mutex_unlock(&output->lock);
        } else if (!output->failed) {
            judge(output, output->type->samples(output->self, items->shared->batch));
        }
        shared_unref(items->shared, output->orphaned);
        free(items);
        items = next;
    }
}

/* Waits for work or the next flush and takes the queue. False: closing and nothing left. */
static bool take_items(struct sq_output *output, int64_t flush_ns, struct item **items)
{
    struct timespec until = {flush_ns / SQ_NS_PER_S, flush_ns % SQ_NS_PER_S};
    int rc = 0;

    pthread_mutex_lock(&output->lock);
    while (!output->first && !output->closing && rc == 0)
        rc = pthread_cond_timedwait(&output->wake, &output->lock, &until);
    *items = output->first;
    bool go_on = output->first || !output->closing;
    output->first = NULL;
    output->last = &output->first;
    output->queued = 0;
    pthread_mutex_unlock(&output->lock);
    return go_on;
}

static void *output_main(void *user)
{
    struct sq_output *output = user;
    const int64_t interval_ns = SQ_OUTPUT_FLUSH_MS * SQ_NS_PER_MS;
    int64_t flush_ns = sq_now_ns() + interval_ns;
    struct item *items;

    while (take_items(output, flush_ns, &items)) {
        write_items(output, items);
        if (sq_now_ns() < flush_ns)
            continue;
        if (!output->failed)
            judge(output, output->type->flush(output->self));
        flush_ns = sq_now_ns() + interval_ns;
    }
    judge(output, output->type->close(output->self, !output->failed));
    pthread_mutex_lock(&output->lock);
    output->done = true;
    pthread_cond_broadcast(&output->wake);
    pthread_mutex_unlock(&output->lock);
    if (output->orphaned)
        output_free(output);
    return NULL;
}

/* ---- the main thread ---- */

static void cond_init_monotonic(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static int unknown_type(const char *name, struct sq_error *err)
{
    static const char *const dropped[] = {"kafka", "datadog"};
    static const char *const later[] = {"cloud", "web-dashboard"};

    for (size_t i = 0; i < SQ_COUNT(dropped); i++)
        if (strcmp(name, dropped[i]) == 0)
            return sq_error_set(err, SQ_EINVALID,
                                "output '%s': k6 took it out of its core and squall does not have "
                                "it either; write --out json=FILE and feed that to %s",
                                name, name);
    for (size_t i = 0; i < SQ_COUNT(later); i++)
        if (strcmp(name, later[i]) == 0)
            return sq_error_set(
                err, SQ_EINVALID,
                "output '%s' is not part of this version of squall; available: " AVAILABLE, name);
    return sq_error_set(err, SQ_EINVALID, "there is no output '%s'; available: " AVAILABLE, name);
}

static const struct sq_output_type *find_type(const char *name)
{
    for (size_t i = 0; i < SQ_COUNT(aliases); i++)
        if (strcmp(aliases[i].name, name) == 0) {
            if (aliases[i].warn)
                sq_log(SQ_LOG_WARN, "output", "output '%s' is now called '%s'", name,
                       aliases[i].type);
            name = aliases[i].type;
            break;
        }
    for (size_t i = 0; i < SQ_COUNT(types); i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

char *sq_output_spec_shown(const char *spec)
{
    const char *mark = strstr(spec, "://"), *from = mark ? mark + 3 : spec;
    const char *at = from + strcspn(from, "/?#");

    while (mark && at > from && *at != '@')
        at--;
    if (!mark || *at != '@')
        return sq_xstrdup(spec);
    return sq_xasprintf("%.*s***%s", (int)(from - spec), spec, at);
}

static int start_thread(struct sq_output *output, struct sq_error *err)
{
    sigset_t all, old;

    sigfillset(&all); /* signals are for the main thread, and EPIPE for us is an error code */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&output->thread, NULL, output_main, output);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return sq_error_set(err, -rc, "output %s: cannot start a thread: %s", output->type->name,
                            sq_status_text(-rc));
    return 0;
}

static int output_open(const char *spec, const struct sq_output_env *env, struct sq_output **out,
                       struct sq_error *err)
{
    const char *equals = strchr(spec, '=');
    char *name = sq_xstrndup(spec, equals ? (size_t)(equals - spec) : strlen(spec));
    const struct sq_output_type *type = find_type(name);
    struct sq_output *output = NULL;
    int rc = 0;

    if (!type) {
        rc = unknown_type(name, err);
        goto out;
    }
    output = sq_xcalloc(1, sizeof *output);
    output->type = type;
    pthread_mutex_init(&output->lock, NULL);
    cond_init_monotonic(&output->wake);
    output->last = &output->first;
    output->queue_max = env->queue_max ? env->queue_max : SQ_OUTPUT_QUEUE_MAX;
    rc = output->type->open(output, equals ? equals + 1 : NULL, env, &output->self, err);
    if (rc == 0) {
        rc = start_thread(output, err);
        if (rc < 0)
            output->type->close(output->self, false);
    }
    if (rc == 0) {
        *out = output; /* ownership moves to the caller */
        output = NULL;
    }
out:
    if (output)
        output_free(output);
    free(name);
    return rc;
}

int sq_outputs_open(char *const *specs, size_t count, const struct sq_output_env *env,
                    struct sq_outputs **out, struct sq_error *err)
{
    struct sq_outputs *outputs = sq_xcalloc(1, sizeof *outputs);
    int rc = 0;

    *out = NULL;
    outputs->items = sq_xcalloc(count + 1, sizeof(struct sq_output *));
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = output_open(specs[i], env, &outputs->items[outputs->count], err);
        if (rc == 0)
            outputs->count++;
    }
    if (rc == 0) {
        *out = outputs;
        outputs = NULL;
    }
    sq_outputs_close(outputs, INT64_MAX);
    return rc;
}

static void push(struct sq_output *output, struct shared *shared)
{
    size_t samples = shared->batch->count;
    bool first_drop = false, dropped = false;
    struct item *item = sq_xmalloc(sizeof *item);

    *item = (struct item){NULL, shared};
    pthread_mutex_lock(&output->lock);
    if (output->queued + samples > output->queue_max) {
        first_drop = output->dropped == 0;
        dropped = true;
        output->dropped += samples;
    } else {
        *output->last = item;
        output->last = &item->next;
        output->queued += samples;
        pthread_cond_signal(&output->wake);
    }
    pthread_mutex_unlock(&output->lock);
    if (dropped) {
        free(item);
        shared_unref(shared, false);
    }
    if (first_drop)
        sq_log(SQ_LOG_WARN, "output",
               "output %s is too slow: %zu samples wait, further ones are left out",
               output->type->name, output->queue_max);
}

void sq_outputs_push(struct sq_outputs *outputs, struct sq_sample_batch *batches)
{
    while (batches) {
        struct sq_sample_batch *next = batches->next;
        if (!outputs || outputs->count == 0) {
            sq_sample_batch_free(batches);
            batches = next;
            continue;
        }
        struct shared *shared = sq_xmalloc(sizeof *shared);
        shared->batch = batches;
        size_t count = outputs->count;
        atomic_init(&shared->refs, (unsigned)count);
        for (size_t i = 0; i < count; i++)
            push(outputs->items[i], shared);
        batches = next;
    }
}

static void ask_to_close(struct sq_output *output)
{
    pthread_mutex_lock(&output->lock);
    output->closing = true;
    pthread_cond_broadcast(&output->wake);
    pthread_mutex_unlock(&output->lock);
}

/* Waits for the end of the thread, until the deadline whatever it does, then until it is in a
 * system call. False: it was left there. */
static bool wait_for(struct sq_output *output, int64_t deadline_ns)
{
    struct timespec until = {deadline_ns / SQ_NS_PER_S, deadline_ns % SQ_NS_PER_S};
    int rc = 0;

    while (!output->done && rc == 0)
        rc = pthread_cond_timedwait(&output->wake, &output->lock, &until);
    atomic_store(&output->late, true);
    while (!output->done && !output->writing)
        pthread_cond_wait(&output->wake, &output->lock);
    return output->done;
}

static bool wait_and_free(struct sq_output *output, int64_t deadline_ns)
{
    const char *name = output->type->name;
    pthread_t thread = output->thread;

    pthread_mutex_lock(&output->lock);
    bool done = wait_for(output, deadline_ns);
    unsigned long long dropped = output->dropped;
    output->left_behind = !done;
    pthread_mutex_unlock(&output->lock); /* a thread that was left behind frees the output */
    if (dropped)
        sq_log(SQ_LOG_WARN, "output", "output %s: %llu samples were left out", name, dropped);
    if (done) {
        pthread_join(thread, NULL);
        output_free(output);
    } else {
        sq_log(SQ_LOG_ERROR, "output", "output %s did not finish in time: what it wrote is cut",
               name);
        pthread_detach(thread);
    }
    return done;
}

size_t sq_outputs_close(struct sq_outputs *outputs, int64_t deadline_ns)
{
    size_t left_behind = 0;

    if (!outputs)
        return 0;
    for (size_t i = 0; i < outputs->count; i++)
        ask_to_close(outputs->items[i]);
    for (size_t i = 0; i < outputs->count; i++)
        left_behind += !wait_and_free(outputs->items[i], deadline_ns);
    free(outputs->items);
    free(outputs);
    return left_behind;
}
