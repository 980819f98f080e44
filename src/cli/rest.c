/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rest.h"

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/httpd.h"
#include "cli/load.h"
#include "metrics/json.h"
#include "metrics/threshold.h"
#include "report/model.h"

enum job_kind { JOB_NONE, JOB_SETUP, JOB_TEARDOWN };

struct sq_rest {
    struct sq_cli_test *t;
    struct sq_httpd *httpd;
    bool waiting; /* inside sq_rest_wait: script code may be run */
    enum job_kind job;
    struct sq_httpd_exchange *job_exchange;
};

/* ---- answers ---- */

static void answer_json(struct sq_httpd_exchange *x, int status, struct sq_buf *body)
{
    sq_httpd_answer(x, status, "application/json; charset=utf-8", sq_buf_slice(body));
    sq_buf_deinit(body);
}

static void answer_error(struct sq_httpd_exchange *x, int status, const char *title,
                         const char *detail)
{
    struct sq_buf body = {0};
    struct sq_json j;
    char code[8];

    snprintf(code, sizeof code, "%d", status);
    sq_json_init(&j, &body, NULL);
    sq_json_object(&j);
    sq_json_key(&j, "errors");
    sq_json_array(&j);
    sq_json_object(&j);
    sq_json_key(&j, "status");
    sq_json_text(&j, code);
    sq_json_key(&j, "title");
    sq_json_text(&j, title);
    sq_json_key(&j, "detail");
    sq_json_text(&j, detail);
    sq_json_object_end(&j);
    sq_json_array_end(&j);
    sq_json_object_end(&j);
    answer_json(x, status, &body);
}

static void answer_text(struct sq_httpd_exchange *x, const char *text)
{
    sq_httpd_answer(x, 200, "text/plain; charset=utf-8", sq_slice_str(text));
}

static void put_number(struct sq_json *j, const char *key, double value)
{
    sq_json_key(j, key);
    sq_json_number(j, value);
}

static void put_bool(struct sq_json *j, const char *key, bool value)
{
    sq_json_key(j, key);
    sq_json_bool(j, value);
}

static void put_text(struct sq_json *j, const char *key, const char *value)
{
    sq_json_key(j, key);
    sq_json_text(j, value);
}

/* {"type":T,"id":I,"attributes":{ ... left open */
static void open_resource(struct sq_json *j, const char *type, const char *id)
{
    sq_json_object(j);
    put_text(j, "type", type);
    put_text(j, "id", id);
    sq_json_key(j, "attributes");
    sq_json_object(j);
}

static void close_resource(struct sq_json *j)
{
    sq_json_object_end(j);
    sq_json_object_end(j);
}

/* {"data": ... the value comes next */
static void open_document(struct sq_json *j, struct sq_buf *body)
{
    sq_json_init(j, body, NULL);
    sq_json_object(j);
    sq_json_key(j, "data");
}

/* ---- /v1/status ---- */

/* The numbers of k6's execution states. */
static int state_number(const struct sq_run *run)
{
    static const int numbers[] = {
        [SQ_PHASE_LOAD] = 0,    [SQ_PHASE_INIT] = 1,     [SQ_PHASE_SETUP] = 6,
        [SQ_PHASE_RUNNING] = 7, [SQ_PHASE_TEARDOWN] = 8, [SQ_PHASE_ENDED] = 9,
    };

    if (run->stopping && run->phase != SQ_PHASE_TEARDOWN)
        return 10;
    if (run->paused && run->phase_done)
        return 4;
    if (run->phase == SQ_PHASE_ENDED && run->exit_code == SQ_EXIT_MARKED_FAILED)
        return 11;
    return numbers[run->phase];
}

static bool is_tainted(const struct sq_cli_test *t)
{
    for (size_t i = 0; i < sq_thresholds_count(t->thresholds); i++)
        if (sq_thresholds_at(t->thresholds, i)->failed)
            return true;
    return false;
}

static void answer_status(struct sq_rest *rest, struct sq_httpd_exchange *x)
{
    struct sq_run *run = &rest->t->run;
    struct sq_buf body = {0};
    struct sq_json j;

    open_document(&j, &body);
    open_resource(&j, "status", "default");
    put_number(&j, "status", state_number(run));
    put_bool(&j, "paused", run->paused);
    put_number(&j, "vus", (double)atomic_load(&run->vus_active));
    put_number(&j, "vus-max", (double)run->vus_ready);
    put_bool(&j, "stopped", run->stopping);
    put_bool(&j, "running", run->phase >= SQ_PHASE_SETUP && run->phase < SQ_PHASE_ENDED);
    put_bool(&j, "tainted", is_tainted(rest->t));
    close_resource(&j);
    sq_json_object_end(&j);
    answer_json(x, 200, &body);
}

static void stop_run(struct sq_run *run)
{
    if (run->phase == SQ_PHASE_ENDED) {
        run->lingering = false;
        sq_loop_stop(run->loop);
    } else {
        sq_run_stop(run, SQ_EXIT_STOPPED, "test run was stopped through the REST API");
    }
}

/* NULL, or why not. */
static const char *set_paused(struct sq_run *run, bool paused)
{
    if (run->phase > SQ_PHASE_INIT)
        return "a test cannot be paused or resumed after its start";
    if (!run->paused)
        return "the test is not paused";
    if (paused)
        return "the test is paused already";
    run->paused = false;
    sq_loop_stop(run->loop);
    return NULL;
}

static const char *apply_patch(struct sq_run *run, const json_t *attributes)
{
    const json_t *paused = json_object_get(attributes, "paused");

    if (json_is_true(json_object_get(attributes, "stopped"))) {
        stop_run(run);
        return NULL;
    }
    if (json_is_number(json_object_get(attributes, "vus")) ||
        json_is_number(json_object_get(attributes, "vus-max")))
        return "no scenario lets the number of VUs be changed while it runs";
    return json_is_boolean(paused) ? set_paused(run, json_is_true(paused)) : NULL;
}

static void patch_status(struct sq_rest *rest, struct sq_httpd_exchange *x, struct sq_slice text)
{
    json_error_t why;
    json_t *root = json_loadb((const char *)text.data, text.len, 0, &why);
    const json_t *attributes = json_object_get(json_object_get(root, "data"), "attributes");

    if (!root) {
        answer_error(x, 400, "Invalid data", why.text);
    } else if (!json_is_object(attributes)) {
        answer_error(x, 400, "Invalid data", "expected {\"data\":{\"attributes\":{...}}}");
    } else {
        const char *problem = apply_patch(&rest->t->run, attributes);
        if (problem)
            answer_error(x, 500, "Status cannot be changed", problem);
        else
            answer_status(rest, x);
    }
    json_decref(root);
}

/* ---- /v1/metrics ---- */

static struct sq_report_input report_input(const struct sq_cli_test *t)
{
    return (struct sq_report_input){
        .registry = t->run.registry,
        .totals = t->run.totals,
        .thresholds = t->thresholds,
        .run_ns = sq_run_elapsed_ns(&t->run),
    };
}

static void put_sample(struct sq_json *j, const struct sq_report_input *in,
                       const struct sq_report_metric *m)
{
    static const char *const trend[] = {"min", "max", "avg", "med", "p(90)", "p(95)"};
    struct sq_sink_stats stats = sq_report_stats(m);

    sq_json_key(j, "sample");
    sq_json_object(j);
    switch (m->metric->type) {
    case SQ_COUNTER:
        put_number(j, "count", stats.sum);
        put_number(j, "rate", sq_report_rate(in, stats.sum));
        break;
    case SQ_GAUGE:
        put_number(j, "value", stats.value);
        break;
    case SQ_RATE:
        put_number(j, "rate", stats.count ? (double)stats.nonzero / (double)stats.count : 0);
        break;
    case SQ_TREND:
        for (size_t i = 0; i < SQ_COUNT(trend); i++)
            put_number(j, trend[i], sq_report_trend_stat(m->sink, trend[i]));
        break;
    }
    sq_json_object_end(j);
}

static void put_tainted(struct sq_json *j, const struct sq_cli_test *t,
                        const struct sq_report_metric *m)
{
    bool any = false, failed = false;

    for (size_t i = 0; i < sq_thresholds_count(t->thresholds); i++) {
        const struct sq_threshold *threshold = sq_thresholds_at(t->thresholds, i);
        if (threshold->metric != m->metric || threshold->submetric != m->submetric)
            continue;
        any = true;
        failed |= threshold->failed;
    }
    sq_json_key(j, "tainted");
    if (any)
        sq_json_bool(j, failed);
    else
        sq_json_null(j);
}

static void put_metric(struct sq_json *j, const struct sq_cli_test *t,
                       const struct sq_report_input *in, const struct sq_report_metric *m)
{
    open_resource(j, "metrics", m->name);
    put_text(j, "type", sq_metric_type_name(m->metric->type));
    put_text(j, "contains", sq_metric_contains_name(m->metric->contains));
    put_tainted(j, t, m);
    put_sample(j, in, m);
    close_resource(j);
}

static void answer_metrics(struct sq_rest *rest, struct sq_httpd_exchange *x, const char *name)
{
    const struct sq_report_input in = report_input(rest->t);
    struct sq_buf body = {0};
    struct sq_json j;
    size_t count, found = 0;
    struct sq_report_metric *metrics = sq_report_metrics(&in, &count);

    open_document(&j, &body);
    if (!name)
        sq_json_array(&j);
    for (size_t i = 0; i < count; i++) {
        bool wanted = name ? strcmp(metrics[i].name, name) == 0 : metrics[i].sink != NULL;
        if (wanted)
            put_metric(&j, rest->t, &in, &metrics[i]);
        found += wanted;
    }
    if (!name)
        sq_json_array_end(&j);
    sq_json_object_end(&j);
    free(metrics);
    if (name && !found) {
        sq_buf_deinit(&body);
        answer_error(x, 404, "Not Found", "no metric with that name has been seen");
    } else {
        answer_json(x, 200, &body);
    }
}

/* ---- /v1/groups ---- */

static void put_reference(struct sq_json *j, const struct sq_report_group *g)
{
    sq_json_object(j);
    put_text(j, "type", "groups");
    put_text(j, "id", g->id);
    sq_json_object_end(j);
}

static void put_checks(struct sq_json *j, const struct sq_report_group *g)
{
    sq_json_key(j, "checks");
    sq_json_array(j);
    for (size_t i = 0; i < g->checks_count; i++) {
        const struct sq_report_check *c = &g->checks[i];
        sq_json_object(j);
        put_text(j, "id", c->id);
        put_text(j, "path", c->path);
        put_text(j, "name", c->name);
        put_number(j, "passes", (double)c->passes);
        put_number(j, "fails", (double)c->fails);
        sq_json_object_end(j);
    }
    sq_json_array_end(j);
}

static void put_group(struct sq_json *j, const struct sq_report_group *g,
                      const struct sq_report_group *parent)
{
    open_resource(j, "groups", g->id);
    put_text(j, "path", g->path);
    put_text(j, "name", g->name);
    put_checks(j, g);
    sq_json_object_end(j);
    sq_json_key(j, "relationships");
    sq_json_object(j);
    sq_json_key(j, "groups");
    sq_json_object(j);
    sq_json_key(j, "data");
    sq_json_array(j);
    for (size_t i = 0; i < g->groups_count; i++)
        put_reference(j, g->groups[i]);
    sq_json_array_end(j);
    sq_json_object_end(j);
    sq_json_key(j, "parent");
    sq_json_object(j);
    sq_json_key(j, "data");
    if (parent)
        put_reference(j, parent);
    else
        sq_json_null(j);
    sq_json_object_end(j);
    sq_json_object_end(j);
    sq_json_object_end(j);
}

/* All below `g`, or the one with that id. Returns how many were put. */
static size_t put_groups(struct sq_json *j, const struct sq_report_group *g,
                         const struct sq_report_group *parent, const char *id)
{
    bool wanted = !id || strcmp(g->id, id) == 0;
    size_t count = wanted;

    if (wanted)
        put_group(j, g, parent);
    for (size_t i = 0; i < g->groups_count && !(id && count); i++)
        count += put_groups(j, g->groups[i], g, id);
    return count;
}

struct groups_wanted {
    struct sq_httpd_exchange *exchange;
    char *id; /* NULL: all */
};

static void checks_gathered(void *user, const struct sq_check_tree *checks)
{
    struct groups_wanted *wanted = user;
    struct sq_report_group *root = sq_report_groups(checks);
    struct sq_buf body = {0};
    struct sq_json j;

    open_document(&j, &body);
    if (!wanted->id)
        sq_json_array(&j);
    size_t count = put_groups(&j, root, NULL, wanted->id);
    if (!wanted->id)
        sq_json_array_end(&j);
    sq_json_object_end(&j);
    sq_report_group_free(root);
    if (count) {
        answer_json(wanted->exchange, 200, &body);
    } else {
        sq_buf_deinit(&body);
        answer_error(wanted->exchange, 404, "Not Found", "no group with that id has been seen");
    }
    free(wanted->id);
    free(wanted);
}

static void answer_groups(struct sq_rest *rest, struct sq_httpd_exchange *x, const char *id)
{
    struct groups_wanted *wanted = sq_xcalloc(1, sizeof *wanted);

    *wanted = (struct groups_wanted){x, id ? sq_xstrdup(id) : NULL};
    sq_run_gather_checks(&rest->t->run, checks_gathered, wanted);
}

/* ---- /v1/setup, /v1/teardown ---- */

static void answer_setup_data(struct sq_rest *rest, struct sq_httpd_exchange *x)
{
    const char *data = rest->t->bundle->setup_data;
    struct sq_buf body = {0};
    struct sq_json j;

    open_document(&j, &body);
    open_resource(&j, "setupData", "default");
    sq_json_key(&j, "data");
    sq_json_raw(&j, data ? data : "null");
    close_resource(&j);
    sq_json_object_end(&j);
    answer_json(x, 200, &body);
}

/* A driver that saw the state "ended" may be faster than we are with the summary: what it asks for
 * is kept until the process lingers. */
static bool will_linger(const struct sq_cli_test *t)
{
    return t->config.linger && t->run.phase == SQ_PHASE_ENDED && !t->run.signals;
}

static bool may_change(struct sq_rest *rest, struct sq_httpd_exchange *x)
{
    if ((rest->waiting || will_linger(rest->t)) && rest->job == JOB_NONE)
        return true;
    answer_error(x, 500, "Not now",
                 "setup and teardown can be driven from outside only while the test is paused or "
                 "lingers (--paused, --linger)");
    return false;
}

static void put_setup_data(struct sq_rest *rest, struct sq_httpd_exchange *x, struct sq_slice text)
{
    struct sq_js_bundle *bundle = rest->t->bundle;
    json_error_t why;

    if (!may_change(rest, x))
        return;
    json_t *root =
        text.len ? json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, &why) : NULL;
    if (text.len && !root) {
        answer_error(x, 400, "Invalid data", why.text);
        return;
    }
    json_decref(root);
    free(bundle->setup_data);
    bundle->setup_data = text.len ? sq_xstrndup((const char *)text.data, text.len) : NULL;
    answer_setup_data(rest, x);
}

static void ask_job(struct sq_rest *rest, struct sq_httpd_exchange *x, enum job_kind job)
{
    if (!may_change(rest, x))
        return;
    rest->job = job;
    rest->job_exchange = x;
    if (rest->waiting)
        sq_loop_stop(rest->t->run.loop);
}

static void run_job(struct sq_rest *rest)
{
    struct sq_httpd_exchange *x = rest->job_exchange;
    struct sq_error err = {0};
    bool setup = rest->job == JOB_SETUP;
    int rc =
        setup ? sq_js_call_setup(&rest->t->run, &err) : sq_js_call_teardown(&rest->t->run, &err);

    rest->job = JOB_NONE;
    rest->job_exchange = NULL;
    if (rc < 0)
        answer_error(x, 500, setup ? "Error executing setup" : "Error executing teardown",
                     err.text);
    else if (setup)
        answer_setup_data(rest, x);
    else
        sq_httpd_answer(x, 200, "application/json; charset=utf-8", sq_slice_str("{}"));
}

void sq_rest_wait(struct sq_cli_test *t)
{
    struct sq_rest *rest = t->rest;

    if (!rest) {
        sq_loop_run(t->run.loop);
        return;
    }
    rest->waiting = true;
    if (rest->job == JOB_NONE)
        sq_loop_run(t->run.loop);
    rest->waiting = false;
    if (rest->job != JOB_NONE)
        run_job(rest);
}

/* ---- /metrics: the process itself, in Prometheus's text form ---- */

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count > 3 ? count - 3 : 0; /* without ., .. and the folder itself */
}

static void put_gauge(struct sq_buf *out, const char *name, const char *type, const char *help,
                      double value)
{
    char text[32];

    sq_double_format(value, text);
    sq_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", name, help, name, type, name, text);
}

static void answer_process(struct sq_rest *rest, struct sq_httpd_exchange *x)
{
    struct sq_buf out = {0};
    struct rusage used;
    struct rlimit limit;
    unsigned long virtual_pages = 0, resident_pages = 0;
    double page = (double)sysconf(_SC_PAGESIZE);
    FILE *statm = fopen("/proc/self/statm", "re");

    if (statm && fscanf(statm, "%lu %lu", &virtual_pages, &resident_pages) != 2)
        virtual_pages = resident_pages = 0;
    if (statm)
        fclose(statm);
    getrusage(RUSAGE_SELF, &used);
    put_gauge(&out, "process_cpu_seconds_total", "counter",
              "Total user and system CPU time spent in seconds.",
              (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                  (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        put_gauge(&out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                  (double)limit.rlim_cur);
    put_gauge(&out, "process_open_fds", "gauge", "Number of open file descriptors.",
              (double)count_descriptors());
    put_gauge(&out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
              (double)resident_pages * page);
    put_gauge(&out, "process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.",
              (double)virtual_pages * page);
    put_gauge(&out, "squall_threads", "gauge", "Worker threads.",
              (double)rest->t->run.threads_count);
    sq_httpd_answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", sq_buf_slice(&out));
    sq_buf_deinit(&out);
}

/* ---- routes ---- */

enum method { GET = 1, PATCH = 2, PUT = 4, POST = 8 };

static unsigned method_bit(struct sq_slice method)
{
    static const struct {
        const char *name;
        unsigned bit;
    } methods[] = {{"GET", GET}, {"HEAD", GET}, {"PATCH", PATCH}, {"PUT", PUT}, {"POST", POST}};

    for (size_t i = 0; i < SQ_COUNT(methods); i++)
        if (sq_slice_eq(method, sq_slice_str(methods[i].name)))
            return methods[i].bit;
    return 0;
}

static void status_route(struct sq_rest *rest, struct sq_httpd_exchange *x, unsigned method,
                         struct sq_slice body)
{
    if (method == PATCH)
        patch_status(rest, x, body);
    else
        answer_status(rest, x);
}

static void setup_route(struct sq_rest *rest, struct sq_httpd_exchange *x, unsigned method,
                        struct sq_slice body)
{
    if (method == PUT)
        put_setup_data(rest, x, body);
    else if (method == POST)
        ask_job(rest, x, JOB_SETUP);
    else
        answer_setup_data(rest, x);
}

static void teardown_route(struct sq_rest *rest, struct sq_httpd_exchange *x, unsigned method,
                           struct sq_slice body)
{
    (void)method, (void)body;
    ask_job(rest, x, JOB_TEARDOWN);
}

static void metrics_route(struct sq_rest *rest, struct sq_httpd_exchange *x, unsigned method,
                          struct sq_slice body)
{
    (void)method, (void)body;
    answer_metrics(rest, x, NULL);
}

static void groups_route(struct sq_rest *rest, struct sq_httpd_exchange *x, unsigned method,
                         struct sq_slice body)
{
    (void)method, (void)body;
    answer_groups(rest, x, NULL);
}

static void process_route(struct sq_rest *rest, struct sq_httpd_exchange *x, unsigned method,
                          struct sq_slice body)
{
    (void)method, (void)body;
    answer_process(rest, x);
}

static const struct {
    const char *path;
    unsigned methods;
    void (*run)(struct sq_rest *rest, struct sq_httpd_exchange *x, unsigned method,
                struct sq_slice body);
} routes[] = {
    {"/v1/status", GET | PATCH, status_route}, {"/v1/metrics", GET, metrics_route},
    {"/v1/groups", GET, groups_route},         {"/v1/setup", GET | PUT | POST, setup_route},
    {"/v1/teardown", POST, teardown_route},    {"/metrics", GET, process_route},
};

/* "%7B" and so on: sub-metrics have braces in their names. */
static char *percent_decoded(const char *text)
{
    char *out = sq_xstrdup(text), *to = out;
    unsigned byte;

    for (; *text; text++)
        if (*text == '%' && strspn(text + 1, "0123456789abcdefABCDEF") >= 2 &&
            sscanf(text + 1, "%2x", &byte) == 1 && byte) {
            *to++ = (char)byte;
            text += 2;
        } else {
            *to++ = *text;
        }
    *to = '\0';
    return out;
}

static bool item_route(struct sq_rest *rest, struct sq_httpd_exchange *x, const char *path,
                       unsigned method)
{
    static const char metrics[] = "/v1/metrics/", groups[] = "/v1/groups/";
    bool metric = sq_text_starts(path, metrics);

    if (!metric && !sq_text_starts(path, groups))
        return false;
    char *name = percent_decoded(path + (metric ? strlen(metrics) : strlen(groups)));
    if (method != GET)
        answer_error(x, 405, "Method Not Allowed", "only GET is understood here");
    else if (metric)
        answer_metrics(rest, x, name);
    else
        answer_groups(rest, x, name);
    free(name);
    return true;
}

static void handle(void *user, struct sq_httpd_exchange *x, const struct sq_httpd_request *request)
{
    struct sq_rest *rest = user;
    unsigned method = method_bit(request->method);
    char *path = sq_xstrndup((const char *)request->path.data, request->path.len);
    bool found = false;

    for (size_t i = 0; i < SQ_COUNT(routes) && !found; i++) {
        found = strcmp(routes[i].path, path) == 0;
        if (found && !(routes[i].methods & method))
            answer_error(x, 405, "Method Not Allowed", "this method is not understood here");
        else if (found)
            routes[i].run(rest, x, method, request->body);
    }
    if (!found && !item_route(rest, x, path, method))
        answer_text(x, "ok");
    free(path);
}

int sq_rest_start(struct sq_cli_test *t, const char *address, struct sq_error *err)
{
    struct sq_rest *rest = sq_xcalloc(1, sizeof *rest);

    rest->t = t;
    int rc = sq_httpd_start(t->run.loop, address, handle, rest, &rest->httpd, err);
    if (rc < 0) {
        free(rest);
        return rc;
    }
    size_t len = strlen(address);
    if (len >= 2 && strcmp(address + len - 2, ":0") == 0)
        sq_log(SQ_LOG_INFO, "rest", "the REST API listens on port %u", sq_httpd_port(rest->httpd));
    t->rest = rest;
    return 0;
}

void sq_rest_free(struct sq_rest *rest)
{
    if (!rest)
        return;
    sq_httpd_free(rest->httpd);
    free(rest);
}
