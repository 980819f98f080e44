/* SPDX-License-Identifier: Apache-2.0 */
/* The summary for people. A text is made of sections, sections of blocks; a block ends with an
 * empty line and a section with one more. Rows of one section align with each other:
 *
 *   name, dots, colon   value   extra   extra      counters, gauges, rates
 *   name, dots, colon   stat=value  stat=value     trends
 *
 * k6 pads the last column as well, so lines of trends may end in blanks. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/text.h"
#include "metrics/sink.h"
#include "report/format.h"
#include "report/model.h"

enum { EXTRAS_MAX = 2, CELL_LEN = SQ_FORMAT_LEN + 8 };

struct row {
    const char *label; /* of a sub-metric: "{ a:b }" */
    bool nested;
    const char *section; /* heading it belongs under */
    char value[CELL_LEN];
    char extras[EXTRAS_MAX][CELL_LEN];
    int extras_count;
    char (*stats)[CELL_LEN]; /* trend_stats_count of them, for trends; owned */
    const char *remark;      /* behind the value, outside the columns; NULL: none */
    char *owned;             /* what label points at, when it was made for the row */
};

struct table {
    struct row *rows;
    size_t count;
};

struct writer {
    const struct sq_report_input *in;
    struct sq_buf out;
};

/* ---- pieces of text ---- */

#define BOLD "1"
#define FAINT "2"
#define RED "31"
#define GREEN "32"
#define CYAN "36"
#define CYAN_FAINT "36;2"

static void put_coloured(struct writer *w, const char *colour, const char *text)
{
    if (w->in->colour)
        sq_buf_printf(&w->out, "\x1b[%sm%s\x1b[0m", colour, text);
    else
        sq_buf_puts(&w->out, text);
}

static void put_times(struct writer *w, char c, size_t times)
{
    while (times-- > 0)
        sq_buf_putc(&w->out, c);
}

static void put_padding(struct writer *w, const char *text, size_t width)
{
    size_t used = sq_format_width(text);

    put_times(w, ' ', width > used ? width - used : 0);
}

static void end_line(struct writer *w)
{
    sq_buf_putc(&w->out, '\n');
}

static void put_title(struct writer *w, size_t indent, const char *mark, const char *kind,
                      const char *name)
{
    char *title = sq_xasprintf("%s%s", kind, name);

    put_times(w, ' ', indent);
    sq_buf_printf(&w->out, "%s ", mark);
    put_coloured(w, BOLD, title);
    sq_buf_puts(&w->out, " \n\n");
    free(title);
}

/* ---- rows ---- */

static bool listed(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

static const char *const sections[] = {"CUSTOM",  "HTTP",       "EXECUTION", "NETWORK",
                                       "BROWSER", "WEB VITALS", "GRPC",      "WEBSOCKET"};
static const char websocket_section[] = "WEBSOCKET";

static const char *section_of(const struct sq_metric *metric)
{
    const char *name = metric->name;

    if (metric->id >= SQ_M_HTTP_REQS && metric->id <= SQ_M_HTTP_REQ_FAILED)
        return "HTTP";
    if (metric->id <= SQ_M_DROPPED_ITERATIONS)
        return "EXECUTION";
    if (metric->id == SQ_M_DATA_SENT || metric->id == SQ_M_DATA_RECEIVED)
        return "NETWORK";
    if (sq_text_starts(name, "browser_web_vital_"))
        return "WEB VITALS";
    if (sq_text_starts(name, "browser_"))
        return "BROWSER";
    if (sq_text_starts(name, "grpc_"))
        return "GRPC";
    if (sq_text_starts(name, "ws_"))
        return websocket_section;
    return "CUSTOM";
}

static bool hidden(const struct sq_report_input *in, const struct sq_metric *metric)
{
    static const char *const always[] = {"checks", "group_duration", NULL};
    static const char *const compact[] = {"http_req_blocked",
                                          "http_req_connecting",
                                          "http_req_tls_handshaking",
                                          "http_req_sending",
                                          "http_req_waiting",
                                          "http_req_receiving",
                                          NULL};

    return listed(metric->name, always) ||
           (in->mode != SQ_SUMMARY_FULL && listed(metric->name, compact));
}

static void format_stat(const struct sq_report_input *in, const struct sq_sink *sink,
                        enum sq_metric_contains contains, const char *stat, char out[SQ_FORMAT_LEN])
{
    double value = sq_report_trend_stat(sink, stat);

    if (strcmp(stat, "count") == 0)
        contains = SQ_CONTAINS_DEFAULT;
    sq_format_value(value, contains, in->time_unit, out);
}

static void fill_stats(const struct sq_report_input *in, const struct sq_report_metric *m,
                       struct row *row)
{
    row->stats = sq_xcalloc(in->trend_stats_count + 1, sizeof *row->stats);
    for (size_t i = 0; i < in->trend_stats_count; i++)
        format_stat(in, m->sink, m->metric->contains, in->trend_stats[i], row->stats[i]);
}

static void fill_row(const struct sq_report_input *in, const struct sq_report_metric *m,
                     struct row *row)
{
    struct sq_sink_stats stats = sq_report_stats(m);
    enum sq_metric_contains contains = m->metric->contains;
    char text[SQ_FORMAT_LEN];

    switch (stats.type) {
    case SQ_COUNTER:
        sq_format_value(stats.sum, contains, in->time_unit, row->value);
        sq_format_value(sq_report_rate(in, stats.sum), contains, in->time_unit, text);
        snprintf(row->extras[0], CELL_LEN, "%s/s", text);
        row->extras_count = 1;
        break;
    case SQ_GAUGE:
        sq_format_value(stats.value, contains, in->time_unit, row->value);
        sq_format_value(stats.min, contains, in->time_unit, text);
        snprintf(row->extras[0], CELL_LEN, "min=%s", text);
        sq_format_value(stats.max, contains, in->time_unit, text);
        snprintf(row->extras[1], CELL_LEN, "max=%s", text);
        row->extras_count = 2;
        break;
    case SQ_RATE:
        sq_format_percent(stats.count ? (double)stats.nonzero / (double)stats.count : 0,
                          row->value);
        snprintf(row->extras[0], CELL_LEN, "%llu out of %llu", (unsigned long long)stats.nonzero,
                 (unsigned long long)stats.count);
        row->extras_count = 1;
        break;
    case SQ_TREND:
        fill_stats(in, m, row);
        break;
    }
}

static struct row *add_row(struct table *table)
{
    table->rows = sq_xrealloc(table->rows, (table->count + 1) * sizeof *table->rows);
    struct row *row = &table->rows[table->count++];
    *row = (struct row){0};
    return row;
}

static void table_deinit(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].stats);
        free(table->rows[i].owned);
    }
    free(table->rows);
}

static void add_metric_row(struct table *table, const struct sq_report_input *in,
                           const struct sq_report_metric *m)
{
    struct row *row = add_row(table);

    row->section = section_of(m->metric);
    row->label = m->name;
    if (m->suffix) {
        row->nested = true;
        row->label = row->owned = sq_xasprintf("{ %s }", m->suffix);
    }
    fill_row(in, m, row);
}

/* ---- alignment ---- */

struct widths {
    size_t label, value, extras[EXTRAS_MAX];
    size_t *stats; /* owned */
};

static size_t label_width(const struct row *row)
{
    return sq_format_width(row->label) + (row->nested ? 2 : 0);
}

static struct widths measure(const struct table *table, size_t stats_count)
{
    struct widths widths = {.stats = sq_xcalloc(stats_count + 1, sizeof(size_t))};

    for (size_t i = 0; i < table->count; i++) {
        const struct row *row = &table->rows[i];
        widths.label = SQ_MAX(widths.label, label_width(row));
        for (size_t s = 0; row->stats && s < stats_count; s++)
            widths.stats[s] = SQ_MAX(widths.stats[s], sq_format_width(row->stats[s]));
        if (row->stats)
            continue;
        widths.value = SQ_MAX(widths.value, sq_format_width(row->value));
        for (int e = 0; e < row->extras_count; e++)
            widths.extras[e] = SQ_MAX(widths.extras[e], sq_format_width(row->extras[e]));
    }
    return widths;
}

static void put_plain_cells(struct writer *w, const struct row *row, const struct widths *widths)
{
    put_coloured(w, CYAN, row->value);
    put_padding(w, row->value, widths->value);
    for (int e = 0; e < row->extras_count; e++) {
        sq_buf_putc(&w->out, ' ');
        put_coloured(w, CYAN_FAINT, row->extras[e]);
        if (row->extras_count > 1)
            put_padding(w, row->extras[e], widths->extras[e]);
    }
    if (row->remark)
        sq_buf_printf(&w->out, " %s", row->remark);
}

static void put_row(struct writer *w, size_t indent, const struct row *row,
                    const struct widths *widths)
{
    put_times(w, ' ', indent + (row->nested ? 2 : 0));
    sq_buf_puts(&w->out, row->label);
    size_t dots = widths->label + 3 - label_width(row);
    char *dotted = sq_xmalloc(dots + 2);
    memset(dotted, '.', dots);
    memcpy(dotted + dots, ":", 2);
    put_coloured(w, FAINT, dotted);
    free(dotted);
    sq_buf_putc(&w->out, ' ');
    for (size_t s = 0; row->stats && s < w->in->trend_stats_count; s++) {
        sq_buf_printf(&w->out, "%s%s=", s ? " " : "", w->in->trend_stats[s]);
        put_coloured(w, CYAN, row->stats[s]);
        put_padding(w, row->stats[s], widths->stats[s]);
    }
    if (!row->stats)
        put_plain_cells(w, row, widths);
    end_line(w);
}

/* ---- blocks ---- */

static void put_check_rates(struct writer *w, size_t indent, const struct sq_sink *sink)
{
    struct sq_sink_stats stats = sq_sink_stats(sink);
    struct table table = {0};
    double total = (double)stats.count;
    unsigned long long passes = stats.nonzero, count = stats.count;

    struct row *row = add_row(&table);
    row->label = "checks_total";
    sq_format_number(total, row->value);
    sq_format_number(sq_report_rate(w->in, total), row->extras[0]);
    strcat(row->extras[0], "/s");
    row->extras_count = 1;
    row = add_row(&table);
    row->label = "checks_succeeded";
    sq_format_percent((double)passes / total, row->value);
    snprintf(row->extras[0], CELL_LEN, "%llu out of %llu", passes, count);
    row->extras_count = 1;
    row = add_row(&table);
    row->label = "checks_failed";
    sq_format_percent((double)(count - passes) / total, row->value);
    snprintf(row->extras[0], CELL_LEN, "%llu out of %llu", count - passes, count);
    row->extras_count = 1;

    struct widths widths = measure(&table, 0);
    for (size_t i = 0; i < table.count; i++)
        put_row(w, indent, &table.rows[i], &widths);
    end_line(w);
    free(widths.stats);
    table_deinit(&table);
}

static void put_check_lines(struct writer *w, size_t indent, const struct sq_check *const *checks,
                            size_t count)
{
    struct sq_report_group *merged = sq_report_checks_by_name(checks, count);

    for (size_t i = 0; i < merged->checks_count; i++) {
        const struct sq_report_check *c = &merged->checks[i];
        char *line = sq_xasprintf("%s %s", c->fails ? "✗" : "✓", c->name);
        put_times(w, ' ', indent);
        put_coloured(w, c->fails ? RED : GREEN, line);
        end_line(w);
        free(line);
        if (!c->fails)
            continue;
        double percent = floor(100 * (double)c->passes / (double)(c->passes + c->fails));
        line = sq_xasprintf("↳  %.0f%% — ✓ %llu / ✗ %llu", percent, (unsigned long long)c->passes,
                            (unsigned long long)c->fails);
        put_times(w, ' ', indent + 2);
        put_coloured(w, RED, line);
        end_line(w);
        free(line);
    }
    if (merged->checks_count)
        end_line(w);
    sq_report_group_free(merged);
}

static void put_table(struct writer *w, size_t indent, const struct table *table)
{
    struct widths widths = measure(table, w->in->trend_stats_count);

    for (size_t s = 0; s < SQ_COUNT(sections); s++) {
        bool any = false;
        for (size_t i = 0; i < table->count; i++) {
            if (strcmp(table->rows[i].section, sections[s]) != 0)
                continue;
            if (!any) {
                put_times(w, ' ', indent);
                put_coloured(w, BOLD, sections[s]);
                end_line(w);
            }
            any = true;
            put_row(w, indent, &table->rows[i], &widths);
        }
        if (any)
            end_line(w);
    }
    free(widths.stats);
}

/* Not a metric: k6 says nothing about sessions that the end of the run cut off. */
static void add_cut_row(struct table *table, const struct sq_report_input *in)
{
    struct row *row = add_row(table);

    row->section = websocket_section;
    row->label = "ws_sessions_cut";
    snprintf(row->value, CELL_LEN, "%llu", (unsigned long long)in->ws_sessions_cut);
    row->remark = "still open at the end of the run, not in ws_session_duration";
}

static void put_metrics(struct writer *w, size_t indent, const struct sq_report_metric *metrics,
                        size_t count, bool total)
{
    bool cut = total && w->in->ws_sessions_cut > 0;
    struct table table = {0};

    for (size_t i = 0; i < count; i++) {
        if (cut && strcmp(metrics[i].metric->name, "ws_sessions_cut") > 0) {
            add_cut_row(&table, w->in);
            cut = false;
        }
        if (!hidden(w->in, metrics[i].metric))
            add_metric_row(&table, w->in, &metrics[i]);
    }
    if (cut)
        add_cut_row(&table, w->in);
    put_table(w, indent, &table);
    table_deinit(&table);
}

/* ---- thresholds ---- */

static void format_threshold(const struct sq_report_input *in, const struct sq_threshold *t,
                             char out[CELL_LEN])
{
    enum sq_metric_contains contains = t->metric->contains;
    const struct sq_sink *sink = sq_threshold_sink(t, in->totals);
    double value;

    sq_threshold_value(t, sink, in->run_ns, &value);
    if (t->metric->type == SQ_RATE) {
        sq_format_percent(value, out);
        return;
    }
    sq_format_value(value, contains, in->time_unit, out);
    if (t->metric->type == SQ_COUNTER && t->agg == SQ_AGG_RATE)
        strcat(out, "/s");
}

static void put_thresholds_of(struct writer *w, size_t indent, const struct sq_report_metric *m,
                              const char *heading)
{
    put_times(w, ' ', indent);
    sq_buf_printf(&w->out, "%s\n", heading);
    for (size_t i = 0; i < sq_thresholds_count(w->in->thresholds); i++) {
        const struct sq_threshold *t = sq_thresholds_at(w->in->thresholds, i);
        char value[CELL_LEN];
        if (t->metric != m->metric || t->submetric != m->submetric)
            continue;
        format_threshold(w->in, t, value);
        put_times(w, ' ', indent);
        put_coloured(w, t->failed ? RED : GREEN, t->failed ? "✗" : "✓");
        sq_buf_printf(&w->out, " '%s' %s=", t->expression, t->agg_text);
        put_coloured(w, CYAN, value);
        end_line(w);
    }
    end_line(w);
}

static void put_thresholds(struct writer *w, const struct sq_report_metric *metrics, size_t count)
{
    if (sq_thresholds_count(w->in->thresholds) == 0)
        return;
    put_title(w, 2, "█", "THRESHOLDS", "");
    for (size_t i = 0; i < count; i++) {
        const struct sq_report_metric *m = &metrics[i];
        if (!sq_thresholds_on(w->in->thresholds, m->metric->id, m->submetric))
            continue;
        if (m->suffix && sq_thresholds_on(w->in->thresholds, m->metric->id, -1)) {
            char *heading = sq_xasprintf("{%s}", m->suffix);
            put_thresholds_of(w, 6, m, heading);
            free(heading);
        } else {
            put_thresholds_of(w, 4, m, m->name);
        }
    }
    end_line(w);
}

/* ---- groups and scenarios of the full mode ---- */

/* The samples of some slices added up. */
struct part {
    struct sq_report_metric *metrics; /* sinks owned */
    size_t count;
};

struct selection {
    const char *scenario; /* "": those outside of scenarios and in the one named default */
    const char *group;    /* NULL: all */
};

static bool scenario_is(const char *name, const char *wanted)
{
    return *wanted ? strcmp(name, wanted) == 0 : !*name || strcmp(name, "default") == 0;
}

static bool selected(const char *scenario, const char *group, const struct selection *sel)
{
    return scenario_is(scenario, sel->scenario) && (!sel->group || strcmp(group, sel->group) == 0);
}

static int compare_names(const void *a, const void *b)
{
    const struct sq_report_metric *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static struct part part_of(const struct sq_report_input *in, const struct selection *sel)
{
    size_t metrics = sq_registry_count(in->registry);
    struct part part = {.metrics = sq_xcalloc(metrics, sizeof *part.metrics)};

    for (uint32_t id = 0; id < metrics; id++) {
        const struct sq_metric *metric = sq_registry_get(in->registry, id);
        struct sq_sink *sum = NULL;
        for (size_t i = 0; i < sq_totals_slice_count(in->totals); i++) {
            struct sq_slice_name name = sq_totals_slice_name(in->totals, i);
            const struct sq_sink *sink = sq_totals_slice_metric(in->totals, i, id);
            if (!sink || !selected(name.scenario, name.group, sel))
                continue;
            if (!sum)
                sum = sq_sink_new(metric->type);
            sq_sink_merge(sum, sink);
        }
        if (sum)
            part.metrics[part.count++] =
                (struct sq_report_metric){metric, -1, metric->name, NULL, sum};
    }
    qsort(part.metrics, part.count, sizeof *part.metrics, compare_names);
    return part;
}

static void part_deinit(struct part *part)
{
    for (size_t i = 0; i < part->count; i++)
        sq_sink_free((struct sq_sink *)part->metrics[i].sink);
    free(part->metrics);
}

static void put_selected_checks(struct writer *w, size_t indent, const struct selection *sel)
{
    size_t count, kept = 0;
    const struct sq_check **list = sq_checks_list(w->in->checks, &count);

    for (size_t i = 0; i < count; i++)
        if (selected((const char *)list[i]->scenario.data, (const char *)list[i]->group.data, sel))
            list[kept++] = list[i];
    put_check_lines(w, indent, list, kept);
    free(list);
}

static void put_selection(struct writer *w, size_t indent, const struct selection *sel)
{
    struct part part = part_of(w->in, sel);

    for (size_t i = 0; i < part.count; i++)
        if (part.metrics[i].metric->id == SQ_M_CHECKS)
            put_check_rates(w, indent, part.metrics[i].sink);
    put_selected_checks(w, indent, sel);
    put_metrics(w, indent, part.metrics, part.count, false);
    part_deinit(&part);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted, each once. */
static size_t sort_names(char **names, size_t count)
{
    size_t kept = 0;

    qsort(names, count, sizeof *names, compare_strings);
    for (size_t i = 0; i < count; i++) {
        if (kept && strcmp(names[kept - 1], names[i]) == 0)
            free(names[i]);
        else
            names[kept++] = names[i];
    }
    return kept;
}

/* Names of the groups right below `path`. owned: names and array */
static char **child_groups(const struct sq_report_input *in, const char *scenario, const char *path,
                           size_t *count)
{
    size_t slices = sq_totals_slice_count(in->totals), len = strlen(path);
    char **names = sq_xcalloc(slices + 1, sizeof *names);

    *count = 0;
    for (size_t i = 0; i < slices; i++) {
        struct sq_slice_name slice = sq_totals_slice_name(in->totals, i);
        const char *rest = slice.group + len;
        if (!scenario_is(slice.scenario, scenario) || !sq_text_starts(slice.group, path) ||
            !sq_text_starts(rest, "::"))
            continue;
        const char *end = strstr(rest + 2, "::");
        names[(*count)++] =
            end ? sq_xstrndup(rest + 2, (size_t)(end - rest) - 2) : sq_xstrdup(rest + 2);
    }
    *count = sort_names(names, *count);
    return names;
}

/* indent: of the groups' titles. */
static void put_groups(struct writer *w, size_t indent, const char *scenario, const char *path,
                       bool top)
{
    size_t count;
    char **names = child_groups(w->in, scenario, path, &count);

    for (size_t i = 0; i < count; i++) {
        char *child = sq_xasprintf("%s::%s", path, names[i]);
        /* ENG-243 leaves out what setup and teardown did. */
        if (*path || (strcmp(names[i], "setup") != 0 && strcmp(names[i], "teardown") != 0)) {
            put_title(w, indent, top ? "█" : "↳", "GROUP: ", names[i]);
            put_selection(w, indent + 2, &(struct selection){scenario, child});
            put_groups(w, indent + 2, scenario, child, false);
            if (top)
                end_line(w);
        }
        free(child);
        free(names[i]);
    }
    free(names);
}

static void put_scenarios(struct writer *w)
{
    size_t slices = sq_totals_slice_count(w->in->totals), count = 0;
    char **names = sq_xcalloc(slices + 1, sizeof *names);

    for (size_t i = 0; i < slices; i++) {
        const char *scenario = sq_totals_slice_name(w->in->totals, i).scenario;
        if (!scenario_is(scenario, ""))
            names[count++] = sq_xstrdup(scenario);
    }
    count = sort_names(names, count);
    for (size_t i = 0; i < count; i++) {
        put_title(w, 2, "█", "SCENARIO: ", names[i]);
        put_selection(w, 4, &(struct selection){names[i], NULL});
        put_groups(w, 4, names[i], "", false);
        end_line(w);
        free(names[i]);
    }
    free(names);
}

/* ---- the whole ---- */

static void put_total(struct writer *w, const struct sq_report_metric *metrics, size_t count)
{
    const struct sq_sink *checks = sq_totals_metric(w->in->totals, SQ_M_CHECKS);
    size_t checks_count;
    const struct sq_check **list = sq_checks_list(w->in->checks, &checks_count);

    put_title(w, 2, "█", "TOTAL RESULTS", "");
    if (checks)
        put_check_rates(w, 4, checks);
    put_check_lines(w, 4, list, checks_count);
    put_metrics(w, 4, metrics, count, true);
    end_line(w);
    free(list);
}

char *sq_report_body(const struct sq_report_input *in)
{
    struct writer w = {.in = in};
    size_t count;
    struct sq_report_metric *metrics = sq_report_metrics(in, &count);

    put_thresholds(&w, metrics, count);
    put_total(&w, metrics, count);
    if (in->mode == SQ_SUMMARY_FULL) {
        put_groups(&w, 2, "", "", true);
        put_scenarios(&w);
    }
    while (w.out.len && w.out.data[w.out.len - 1] == '\n')
        w.out.len--;
    free(metrics);
    return sq_buf_steal(&w.out);
}

char *sq_report_text(const struct sq_report_input *in)
{
    char *body = sq_report_body(in), *text = sq_xasprintf("\n%s\n\n\n", body);

    free(body);
    return text;
}
