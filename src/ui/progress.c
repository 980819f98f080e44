/* SPDX-License-Identifier: Apache-2.0 */
/* The texts: pure, so that tests compare them to the letter. */
#include "ui/progress.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/duration.h"
#include "engine/segment.h"

enum { BAR_MAX = 40, BAR_MIN = 8, NAME_MAX_LEN = 30, TENTH_NS = 100000000 };

#define CYAN "\x1b[36m"
#define GREEN "\x1b[32m"
#define RED "\x1b[31m"
#define RESET "\x1b[0m"

char *sq_ui_banner(const char *version, bool colour)
{
    const char *on = colour ? CYAN : "", *off = colour ? RESET : "";

    return sq_xasprintf("\n"
                        "%s     .-~~-.\n"
                        "    (  ~~  )_\n"
                        "     `-~~-'  ``~.   squall %s\n"
                        "       / / / / /%s\n\n",
                        on, version, off);
}

static int digits_of(int64_t value)
{
    int digits = 1;

    while ((value /= 10) > 0 && digits < 19)
        digits++;
    return digits;
}

void sq_ui_time(int64_t ns, int64_t longest_ns, char out[48])
{
    int64_t tenths = SQ_MAX(ns, 0) / TENTH_NS, longest_s = longest_ns / SQ_NS_PER_S;
    int64_t s = tenths / 10;
    int tenth = (int)(tenths % 10);

    if (longest_s >= 3600)
        snprintf(out, 48, "%0*lldh%02dm%02d.%ds", digits_of(longest_s / 3600),
                 (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60), tenth);
    else if (longest_s >= 60)
        snprintf(out, 48, "%0*lldm%02d.%ds", digits_of(longest_s / 60), (long long)(s / 60),
                 (int)(s % 60), tenth);
    else
        snprintf(out, 48, "%0*lld.%ds", digits_of(longest_s), (long long)s, tenth);
}

static int compare_scenarios(const void *a, const void *b)
{
    const struct sq_scenario *left = *(const struct sq_scenario *const *)a,
                             *right = *(const struct sq_scenario *const *)b;

    if (left->start_ns != right->start_ns)
        return left->start_ns < right->start_ns ? -1 : 1;
    return strcmp(left->name, right->name);
}

/* In the order in which they start (ENG-103). owned: free */
static const struct sq_scenario **in_order(const struct sq_scenario *scenarios, size_t count)
{
    const struct sq_scenario **order = sq_xcalloc(count + 1, sizeof *order);

    for (size_t i = 0; i < count; i++)
        order[i] = &scenarios[i];
    qsort(order, count, sizeof *order, compare_scenarios);
    return order;
}

char *sq_ui_describe(const struct sq_ui_description *what)
{
    const struct sq_config *c = what->config;
    const struct sq_scenario **order = in_order(c->scenarios, c->scenarios_count);
    int64_t length_ns = (sq_config_length_max_ns(c) + TENTH_NS / 2) / TENTH_NS * TENTH_NS;
    struct sq_buf out = {0};
    char length[40];

    sq_duration_format(length_ns, length);
    sq_buf_printf(&out, "     execution: local\n        script: %s\n", what->script);
    if (what->web_dashboard)
        sq_buf_printf(&out, " web dashboard: %s\n", what->web_dashboard);
    sq_buf_puts(&out, "        output: ");
    for (size_t i = 0; i < what->outputs.count; i++)
        sq_buf_printf(&out, "%s%s", i ? ", " : "", what->outputs.items[i]);
    sq_buf_puts(&out, what->outputs.count ? "\n\n" : "-\n\n");
    sq_buf_printf(&out,
                  "     scenarios: (%.2f%%) %zu scenario%s, %lld max VUs, %s max duration (incl. "
                  "graceful stop):\n",
                  100 * sq_stripe_share(c->stripe), c->scenarios_count,
                  c->scenarios_count == 1 ? "" : "s",
                  (long long)sq_scenarios_vus_max(c->scenarios, c->scenarios_count), length);
    for (size_t i = 0; i < c->scenarios_count; i++) {
        char *text = sq_scenario_describe(order[i]);
        sq_buf_printf(&out, "              * %s: %s\n", order[i]->name, text);
        free(text);
    }
    sq_buf_puts(&out, "\n\n");
    free(order);
    return sq_buf_steal(&out);
}

/* Columns of the right-hand side, ENG-232. */
static void put_columns(struct sq_buf *out, const struct sq_scenario *s,
                        const struct sq_scenario_progress *p)
{
    int vus_width = digits_of(SQ_MAX(p->slots_max, p->slots_active));
    int count_width = digits_of((int64_t)p->iterations_total);
    char elapsed[48], length[40];

    if (p->state == SQ_SCENARIO_WAITING) {
        sq_ui_time(-p->elapsed_ns, s->start_ns, elapsed);
        sq_buf_printf(out, "waiting  %s", elapsed);
        return;
    }
    switch (s->executor) {
    case SQ_EXEC_SHARED_ITERATIONS:
    case SQ_EXEC_PER_VU_ITERATIONS:
    case SQ_EXEC_CONSTANT_VUS:
        sq_buf_printf(out, "%lld VUs", (long long)p->slots_max);
        break;
    default:
        sq_buf_printf(out, "%0*lld/%0*lld VUs", vus_width, (long long)p->slots_active, vus_width,
                      (long long)p->slots_max);
    }
    sq_ui_time(p->elapsed_ns, p->length_ns, elapsed);
    sq_duration_format(p->length_ns, length);
    sq_buf_printf(out, "  %s/%s", elapsed, length);
    if (s->executor == SQ_EXEC_SHARED_ITERATIONS)
        sq_buf_printf(out, "  %0*llu/%llu shared iters", count_width,
                      (unsigned long long)p->iterations, (unsigned long long)p->iterations_total);
    else if (s->executor == SQ_EXEC_PER_VU_ITERATIONS)
        sq_buf_printf(out, "  %0*llu/%llu iters, %lld per VU", count_width,
                      (unsigned long long)p->iterations, (unsigned long long)p->iterations_total,
                      (long long)s->iterations);
    else if (s->executor >= SQ_EXEC_CONSTANT_ARRIVAL_RATE)
        sq_buf_printf(out, "  %.2f iters/s", p->rate);
}

/* `[====>-----]`, or `[  66% ]` where there is no room for at least 8 columns. */
static void put_bar(struct sq_buf *out, double done, int room)
{
    int inner = SQ_MIN(room, BAR_MAX) - 2;

    done = done < 0 ? 0 : done > 1 ? 1 : done;
    if (inner + 2 < BAR_MIN) {
        sq_buf_printf(out, "[ %3d%% ]", (int)(done * 100));
        return;
    }
    int full = (int)(done * inner);
    sq_buf_putc(out, '[');
    for (int i = 0; i < inner; i++)
        sq_buf_putc(out, i < full ? '=' : i == full && full > 0 ? '>' : '-');
    sq_buf_putc(out, ']');
}

static const char *state_sign(enum sq_scenario_state state, bool colour)
{
    static const char *const plain[] = {"\xe2\x80\xa2", " ", "\xe2\x86\x93", "\xe2\x9c\x93",
                                        "\xe2\x9c\x97"};

    if (colour && state == SQ_SCENARIO_DONE)
        return GREEN "\xe2\x9c\x93" RESET;
    if (colour && state == SQ_SCENARIO_INTERRUPTED)
        return RED "\xe2\x9c\x97" RESET;
    return plain[state];
}

static int shown_len(const char *name)
{
    return (int)SQ_MIN(strlen(name), (size_t)NAME_MAX_LEN);
}

static void put_name(struct sq_buf *out, const char *name, int pad)
{
    if (strlen(name) > NAME_MAX_LEN)
        sq_buf_printf(out, "%.*s...%*s", NAME_MAX_LEN - 3, name, pad - NAME_MAX_LEN, "");
    else
        sq_buf_printf(out, "%-*s", pad, name);
}

/* A line that is too long would wrap and spoil redrawing in place. Bytes above ASCII count one
 * column per character; escapes count none. */
static void put_cut(struct sq_buf *out, const char *line, int width)
{
    int column = 0;
    bool escape = false;

    for (const char *p = line; *p; p++) {
        bool starts = ((uint8_t)*p & 0xc0) != 0x80;
        escape |= *p == '\x1b';
        if (!escape && starts && ++column > width)
            break;
        sq_buf_putc(out, *p);
        if (escape && *p == 'm')
            escape = false;
    }
    sq_buf_putc(out, '\n');
}

static void put_scenario(struct sq_buf *out, const struct sq_scenario *s,
                         const struct sq_scenario_progress *p, int pad,
                         const struct sq_ui_style *style)
{
    struct sq_buf columns = {0}, line = {0};

    put_columns(&columns, s, p);
    put_name(&line, s->name, pad);
    sq_buf_printf(&line, " %s ", state_sign(p->state, style->colour));
    int room = style->bars ? style->width - pad - 4 - (int)columns.len : 0;
    put_bar(&line, p->state == SQ_SCENARIO_WAITING ? 0 : p->done, room);
    sq_buf_printf(&line, " %s", sq_buf_cstr(&columns));
    put_cut(out, sq_buf_cstr(&line), style->width);
    sq_buf_deinit(&columns);
    sq_buf_deinit(&line);
}

static void put_phase(struct sq_buf *out, const char *left, double done, const char *right,
                      const struct sq_ui_style *style)
{
    struct sq_buf line = {0};

    sq_buf_printf(&line, "%-9s ", left);
    put_bar(&line, done, style->bars ? style->width - 11 - (int)strlen(right) : 0);
    sq_buf_printf(&line, " %s", right);
    put_cut(out, sq_buf_cstr(&line), style->width);
    sq_buf_deinit(&line);
}

static void put_init(struct sq_buf *out, const struct sq_ui_view *v,
                     const struct sq_ui_style *style)
{
    char right[96];
    double done = v->vus_planned ? (double)v->vus_initialised / (double)v->vus_planned : 1;

    snprintf(right, sizeof right, "%0*lld/%lld VUs initialized", digits_of(v->vus_planned),
             (long long)v->vus_initialised, (long long)v->vus_planned);
    put_phase(out, "Init", done, right, style);
}

static void put_running(struct sq_buf *out, const struct sq_ui_view *v,
                        const struct sq_ui_style *style)
{
    int width = digits_of(SQ_MAX(v->vus_max, v->vus_initialised));
    char elapsed[48], line[256];

    sq_ui_time(v->elapsed_ns, v->length_ns, elapsed);
    snprintf(line, sizeof line,
             "%s (%s), %0*lld/%0*lld VUs, %llu complete and %llu interrupted iterations",
             v->phase == SQ_UI_PAUSED ? "paused" : "running", elapsed, width,
             (long long)v->vus_active, width, (long long)v->vus_initialised,
             (unsigned long long)v->complete, (unsigned long long)v->interrupted);
    put_cut(out, line, style->width);
}

static void put_status(struct sq_buf *out, const struct sq_ui_view *v,
                       const struct sq_ui_style *style)
{
    switch (v->phase) {
    case SQ_UI_INIT:
        put_init(out, v, style);
        break;
    case SQ_UI_SETUP:
        put_phase(out, "Run", 1, "setup()", style);
        break;
    case SQ_UI_TEARDOWN:
        put_phase(out, "Run", 1, "teardown()", style);
        break;
    case SQ_UI_PAUSED:
    case SQ_UI_RUNNING:
        put_running(out, v, style);
        break;
    }
}

char *sq_ui_render(const struct sq_ui_view *view, const struct sq_ui_style *style)
{
    const struct sq_scenario **order = in_order(view->scenarios, view->scenarios_count);
    struct sq_buf out = {0};
    int pad = 0;

    put_status(&out, view, style);
    for (size_t i = 0; i < view->scenarios_count; i++)
        pad = SQ_MAX(pad, shown_len(view->scenarios[i].name));
    for (size_t i = 0; view->progress && i < view->scenarios_count; i++)
        put_scenario(&out, order[i], &view->progress[order[i] - view->scenarios], pad, style);
    free(order);
    return sq_buf_steal(&out);
}
