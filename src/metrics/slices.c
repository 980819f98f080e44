/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/slices.h"

#include <stdlib.h>

#include "base/log.h"
#include "metrics/sink.h"

static bool text_is(const char *text, struct sq_slice s)
{
    return sq_slice_eq(sq_slice_str(text), s);
}

int sq_slices_at(struct sq_sink_slices *slices, struct sq_slice scenario, struct sq_slice group)
{
    for (size_t i = 0; i < slices->count; i++)
        if (text_is(slices->items[i].group, group) && text_is(slices->items[i].scenario, scenario))
            return (int)i;
    if (slices->count == SQ_SLICES_MAX) {
        if (!slices->full)
            sq_log(SQ_LOG_WARN, "metrics",
                   "more than %d groups: the summary leaves further ones out of its sections",
                   SQ_SLICES_MAX);
        slices->full = true;
        return SQ_SLICE_NONE;
    }
    if (slices->count == slices->cap) {
        slices->cap = slices->cap ? slices->cap * 2 : 8;
        slices->items = sq_xrealloc(slices->items, slices->cap * sizeof *slices->items);
    }
    slices->items[slices->count] = (struct sq_sink_slice){
        .scenario =
            scenario.len ? sq_xstrndup((const char *)scenario.data, scenario.len) : sq_xstrdup(""),
        .group = group.len ? sq_xstrndup((const char *)group.data, group.len) : sq_xstrdup(""),
    };
    return (int)slices->count++;
}

struct sq_sink *sq_slices_sink(struct sq_sink_slices *slices, int index, uint32_t metric_id,
                               enum sq_metric_type type)
{
    struct sq_sink_slice *slice = &slices->items[index];

    if (metric_id >= slice->sinks_count) {
        size_t count = metric_id + 16;
        slice->sinks = sq_xrealloc(slice->sinks, count * sizeof(struct sq_sink *));
        for (size_t i = slice->sinks_count; i < count; i++)
            slice->sinks[i] = NULL;
        slice->sinks_count = count;
    }
    if (!slice->sinks[metric_id])
        slice->sinks[metric_id] = sq_sink_new(type);
    return slice->sinks[metric_id];
}

void sq_slices_move(struct sq_sink_slices *into, struct sq_sink_slices *from)
{
    for (size_t i = 0; i < from->count; i++) {
        struct sq_sink_slice *slice = &from->items[i];
        int at = sq_slices_at(into, sq_slice_str(slice->scenario), sq_slice_str(slice->group));
        for (uint32_t id = 0; id < slice->sinks_count; id++) {
            struct sq_sink *sink = slice->sinks[id];
            if (!sink || sq_sink_stats(sink).count == 0)
                continue;
            if (at != SQ_SLICE_NONE)
                sq_sink_merge(sq_slices_sink(into, at, id, sq_sink_stats(sink).type), sink);
            sq_sink_reset(sink);
        }
    }
}

void sq_slices_deinit(struct sq_sink_slices *slices)
{
    for (size_t i = 0; i < slices->count; i++) {
        for (size_t id = 0; id < slices->items[i].sinks_count; id++)
            sq_sink_free(slices->items[i].sinks[id]);
        free(slices->items[i].sinks);
        free(slices->items[i].scenario);
        free(slices->items[i].group);
    }
    free(slices->items);
    *slices = (struct sq_sink_slices){0};
}
