/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "metrics/shard.h"
#include "metrics/sink.h"

struct sq_totals {
    struct sq_registry *reg;  /* borrowed */
    struct sq_sink **metrics; /* by id; NULL: no sample */
    size_t metrics_count;
    struct sq_sink **subs; /* by index */
    size_t subs_count;
    struct sq_sink_slices slices;
};

struct sq_totals *sq_totals_new(struct sq_registry *reg)
{
    struct sq_totals *totals = sq_xcalloc(1, sizeof *totals);

    totals->reg = reg;
    return totals;
}

static void free_sinks(struct sq_sink **sinks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sq_sink_free(sinks[i]);
    free(sinks);
}

void sq_totals_free(struct sq_totals *totals)
{
    if (!totals)
        return;
    free_sinks(totals->metrics, totals->metrics_count);
    free_sinks(totals->subs, totals->subs_count);
    sq_slices_deinit(&totals->slices);
    free(totals);
}

/* Place `index` of a growing array of sinks, filled at need. */
static struct sq_sink *sink_at(struct sq_sink ***sinks, size_t *count, size_t index,
                               enum sq_metric_type type)
{
    if (index >= *count) {
        size_t grown = index + 16;
        *sinks = sq_xrealloc(*sinks, grown * sizeof **sinks);
        for (size_t i = *count; i < grown; i++)
            (*sinks)[i] = NULL;
        *count = grown;
    }
    if (!(*sinks)[index])
        (*sinks)[index] = sq_sink_new(type);
    return (*sinks)[index];
}

static void move_sink(struct sq_sink ***sinks, size_t *count, size_t index, struct sq_sink *from)
{
    struct sq_sink_stats stats;

    if (!from || (stats = sq_sink_stats(from)).count == 0)
        return;
    sq_sink_merge(sink_at(sinks, count, index, stats.type), from);
    sq_sink_reset(from);
}

struct sq_sink *sq_totals_sink(struct sq_totals *totals, uint32_t metric_id, int submetric)
{
    const struct sq_metric *metric = sq_registry_get(totals->reg, metric_id);

    sq_assert(metric != NULL);
    if (submetric < 0)
        return sink_at(&totals->metrics, &totals->metrics_count, metric_id, metric->type);
    return sink_at(&totals->subs, &totals->subs_count, (size_t)submetric, metric->type);
}

void sq_totals_merge(struct sq_totals *totals, struct sq_shard *shard)
{
    for (size_t id = 0; id < shard->metrics_count; id++)
        move_sink(&totals->metrics, &totals->metrics_count, id, shard->metrics[id].sink);
    for (size_t i = 0; i < shard->subs_count; i++)
        move_sink(&totals->subs, &totals->subs_count, i, shard->subs[i]);
    if (shard->broken_down)
        sq_slices_move(&totals->slices, &shard->slices);
}

const struct sq_sink *sq_totals_metric(const struct sq_totals *totals, uint32_t metric_id)
{
    return metric_id < totals->metrics_count ? totals->metrics[metric_id] : NULL;
}

const struct sq_sink *sq_totals_submetric(const struct sq_totals *totals, size_t index)
{
    return index < totals->subs_count ? totals->subs[index] : NULL;
}

size_t sq_totals_slice_count(const struct sq_totals *totals)
{
    return totals->slices.count;
}

struct sq_slice_name sq_totals_slice_name(const struct sq_totals *totals, size_t index)
{
    sq_assert(index < totals->slices.count);
    const struct sq_sink_slice *slice = &totals->slices.items[index];
    return (struct sq_slice_name){slice->scenario, slice->group};
}

const struct sq_sink *sq_totals_slice_metric(const struct sq_totals *totals, size_t index,
                                             uint32_t metric_id)
{
    sq_assert(index < totals->slices.count);
    const struct sq_sink_slice *slice = &totals->slices.items[index];
    return metric_id < slice->sinks_count ? slice->sinks[metric_id] : NULL;
}
