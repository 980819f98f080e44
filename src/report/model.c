/* SPDX-License-Identifier: Apache-2.0 */
#include "report/model.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "metrics/sink.h"

static int compare_metrics(const void *a, const void *b)
{
    const struct sq_report_metric *x = a, *y = b;
    int order = strcmp(x->metric->name, y->metric->name);

    return order ? order : strcmp(x->name, y->name);
}

static bool shown(const struct sq_report_input *in, const struct sq_report_metric *m)
{
    return m->sink || sq_thresholds_on(in->thresholds, m->metric->id, m->submetric);
}

struct sq_report_metric *sq_report_metrics(const struct sq_report_input *in, size_t *count)
{
    size_t metrics = sq_registry_count(in->registry);
    size_t subs = sq_registry_submetric_count(in->registry);
    struct sq_report_metric *list = sq_xcalloc(metrics + subs, sizeof *list);

    *count = 0;
    for (size_t i = 0; i < metrics; i++) {
        struct sq_report_metric m = {.metric = sq_registry_get(in->registry, (uint32_t)i),
                                     .submetric = -1};
        m.name = m.metric->name;
        m.sink = sq_totals_metric(in->totals, (uint32_t)i);
        if (shown(in, &m))
            list[(*count)++] = m;
    }
    for (size_t i = 0; i < subs; i++) {
        const struct sq_submetric *sub = sq_registry_submetric(in->registry, i);
        struct sq_report_metric m = {sub->metric, (int)i, sub->name, sub->suffix,
                                     sq_totals_submetric(in->totals, i)};
        if (shown(in, &m))
            list[(*count)++] = m;
    }
    qsort(list, *count, sizeof *list, compare_metrics);
    return list;
}

double sq_report_rate(const struct sq_report_input *in, double sum)
{
    return in->run_ns > 0 ? sum / ((double)in->run_ns / SQ_NS_PER_S) : 0;
}

struct sq_sink_stats sq_report_stats(const struct sq_report_metric *m)
{
    if (!m->sink)
        return (struct sq_sink_stats){.type = m->metric->type};
    return sq_sink_stats(m->sink);
}

double sq_report_trend_stat(const struct sq_sink *sink, const char *name)
{
    double value = 0;

    if (sink)
        sq_sink_trend_stat(sink, name, &value);
    return value;
}

/* ---- groups ---- */

static void set_id(char id[SQ_REPORT_ID_LEN], const char *path)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    id[0] = '\0';
    if (EVP_Digest(path, strlen(path), digest, &len, EVP_md5(), NULL) != 1)
        return; /* an OpenSSL in FIPS mode has no MD5 */
    for (unsigned i = 0; i < len && i < SQ_REPORT_ID_LEN / 2; i++)
        snprintf(id + 2 * (size_t)i, 3, "%02x", digest[i]);
}

static struct sq_report_group *group_new(const char *name, size_t name_len, const char *path,
                                         size_t path_len)
{
    struct sq_report_group *group = sq_xcalloc(1, sizeof *group);

    group->name = sq_xstrndup(name, name_len);
    group->path = sq_xstrndup(path, path_len);
    set_id(group->id, group->path);
    return group;
}

void sq_report_group_free(struct sq_report_group *group)
{
    if (!group)
        return;
    for (size_t i = 0; i < group->groups_count; i++)
        sq_report_group_free(group->groups[i]);
    for (size_t i = 0; i < group->checks_count; i++) {
        free(group->checks[i].name);
        free(group->checks[i].path);
    }
    free(group->groups);
    free(group->checks);
    free(group->name);
    free(group->path);
    free(group);
}

static struct sq_report_group *child(struct sq_report_group *group, const char *path,
                                     const char *name, size_t name_len)
{
    for (size_t i = 0; i < group->groups_count; i++)
        if (strlen(group->groups[i]->name) == name_len &&
            memcmp(group->groups[i]->name, name, name_len) == 0)
            return group->groups[i];
    group->groups =
        sq_xrealloc(group->groups, (group->groups_count + 1) * sizeof(struct sq_report_group *));
    struct sq_report_group *made =
        group_new(name, name_len, path, (size_t)(name - path) + name_len);
    group->groups[group->groups_count++] = made;
    return made;
}

/* `path` is "" or "::outer::inner". */
static struct sq_report_group *walk(struct sq_report_group *root, const char *path)
{
    struct sq_report_group *group = root;

    for (const char *at = path; strncmp(at, "::", 2) == 0;) {
        const char *name = at + 2, *end = strstr(name, "::");
        size_t len = end ? (size_t)(end - name) : strlen(name);
        group = child(group, path, name, len);
        at = name + len;
    }
    return group;
}

static void add_check(struct sq_report_group *group, const struct sq_check *check)
{
    const char *name = (const char *)check->name.data;

    for (size_t i = 0; i < group->checks_count; i++)
        if (strcmp(group->checks[i].name, name) == 0) {
            group->checks[i].passes += check->passes;
            group->checks[i].fails += check->fails;
            return;
        }
    group->checks = sq_xrealloc(group->checks, (group->checks_count + 1) * sizeof *group->checks);
    struct sq_report_check *c = &group->checks[group->checks_count++];
    *c = (struct sq_report_check){.name = sq_xstrdup(name),
                                  .path = sq_xasprintf("%s::%s", group->path, name),
                                  .passes = check->passes,
                                  .fails = check->fails};
    set_id(c->id, c->path);
}

struct sq_report_group *sq_report_groups(const struct sq_check_tree *checks)
{
    struct sq_report_group *root = group_new("", 0, "", 0);
    size_t count;
    const struct sq_check **list = sq_checks_list(checks, &count);

    for (size_t i = 0; i < count; i++)
        add_check(walk(root, (const char *)list[i]->group.data), list[i]);
    free(list);
    return root;
}

struct sq_report_group *sq_report_checks_by_name(const struct sq_check *const *checks, size_t count)
{
    struct sq_report_group *all = group_new("", 0, "", 0);

    for (size_t i = 0; i < count; i++)
        add_check(all, checks[i]);
    return all;
}
