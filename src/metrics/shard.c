/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/shard.h"

#include <stdlib.h>

#include "metrics/sink.h"

enum { SEEN_PLACES = 1024, BATCH_SAMPLES = 512 };

struct sq_shard *sq_shard_new(struct sq_registry *reg, bool keep_samples)
{
    struct sq_shard *shard = sq_xcalloc(1, sizeof *shard);

    shard->reg = reg;
    shard->keep_samples = keep_samples;
    shard->broken_down = sq_registry_broken_down(reg);
    shard->subs_count = sq_registry_submetric_count(reg);
    shard->subs = sq_xcalloc(shard->subs_count + 1, sizeof(struct sq_sink *));
    shard->sub_defs = sq_xcalloc(shard->subs_count + 1, sizeof(struct sq_submetric *));
    for (size_t i = 0; i < shard->subs_count; i++) {
        shard->sub_defs[i] = sq_registry_submetric(reg, i);
        shard->subs[i] = sq_sink_new(shard->sub_defs[i]->metric->type);
    }
    shard->mask_words = (shard->subs_count + 63) / 64;
    shard->seen = sq_xcalloc(SEEN_PLACES, sizeof *shard->seen);
    shard->masks = sq_xcalloc(SEEN_PLACES * shard->mask_words + 1, sizeof *shard->masks);
    return shard;
}

void sq_shard_free(struct sq_shard *shard)
{
    if (!shard)
        return;
    for (size_t i = 0; i < shard->metrics_count; i++) {
        sq_sink_free(shard->metrics[i].sink);
        free(shard->metrics[i].subs);
    }
    for (size_t i = 0; i < shard->subs_count; i++)
        sq_sink_free(shard->subs[i]);
    while (shard->batches) {
        struct sq_sample_batch *next = shard->batches->next;
        sq_sample_batch_free(shard->batches);
        shard->batches = next;
    }
    sq_slices_deinit(&shard->slices);
    free(shard->metrics);
    free(shard->subs);
    free(shard->sub_defs);
    free(shard->seen);
    free(shard->masks);
    free(shard);
}

bool sq_shard_keeps_samples(const struct sq_shard *shard)
{
    return shard->keep_samples;
}

/* First sample of a metric in this shard. */
static void meet_metric(struct sq_shard *shard, uint32_t id)
{
    const struct sq_metric *metric = sq_registry_get(shard->reg, id);

    sq_assert(metric != NULL);
    if (id >= shard->metrics_count) {
        size_t count = sq_registry_count(shard->reg);
        shard->metrics = sq_xrealloc(shard->metrics, count * sizeof *shard->metrics);
        memset(shard->metrics + shard->metrics_count, 0,
               (count - shard->metrics_count) * sizeof *shard->metrics);
        shard->metrics_count = count;
    }
    struct sq_shard_metric *m = &shard->metrics[id];
    m->type = metric->type;
    m->sink = sq_sink_new(metric->type);
    for (size_t i = 0; i < shard->subs_count; i++)
        if (shard->sub_defs[i]->metric == metric) {
            m->subs = sq_xrealloc(m->subs, (m->subs_count + 1) * sizeof *m->subs);
            m->subs[m->subs_count++] = (uint32_t)i;
        }
}

/* The place of the cache that speaks of `tags`. */
static size_t look_at_tags(struct sq_shard *shard, const struct sq_tagset *tags)
{
    uint64_t serial = sq_tagset_serial(tags);
    size_t place = serial % SEEN_PLACES;

    if (SQ_LIKELY(shard->seen[place].set == tags && shard->seen[place].serial == serial))
        return place;
    uint64_t *mask = shard->masks + place * shard->mask_words;
    memset(mask, 0, shard->mask_words * sizeof *mask);
    for (size_t i = 0; i < shard->subs_count; i++) {
        const struct sq_submetric *sub = shard->sub_defs[i];
        if (sq_tagset_contains(tags, sub->pairs, sub->pairs_count))
            mask[i / 64] |= UINT64_C(1) << i % 64;
    }
    shard->seen[place].set = tags;
    shard->seen[place].serial = serial;
    if (shard->broken_down)
        shard->seen[place].slice = sq_slices_at(&shard->slices, sq_tagset_get(tags, "scenario"),
                                                sq_tagset_get(tags, "group"));
    return place;
}

static void add_by_tags(struct sq_shard *shard, const struct sq_shard_metric *m, uint32_t metric_id,
                        const struct sq_tagset *tags, int64_t wall_ns, double value)
{
    size_t place = look_at_tags(shard, tags);
    const uint64_t *mask = shard->masks + place * shard->mask_words;

    for (uint32_t i = 0; i < m->subs_count; i++) {
        uint32_t sub = m->subs[i];
        if (mask[sub / 64] >> sub % 64 & 1)
            sq_sink_add(shard->subs[sub], wall_ns, value);
    }
    if (shard->broken_down && shard->seen[place].slice != SQ_SLICE_NONE)
        sq_sink_add(sq_slices_sink(&shard->slices, shard->seen[place].slice, metric_id, m->type),
                    wall_ns, value);
}

static void keep_sample(struct sq_shard *shard, const struct sq_sample *sample)
{
    struct sq_sample_batch *batch = shard->batch_last;

    if (!batch || batch->count == batch->cap) {
        batch = sq_xmalloc(sizeof *batch + BATCH_SAMPLES * sizeof batch->samples[0]);
        batch->next = NULL;
        batch->count = 0;
        batch->cap = BATCH_SAMPLES;
        if (shard->batch_last)
            shard->batch_last->next = batch;
        else
            shard->batches = batch;
        shard->batch_last = batch;
    }
    sq_tagset_ref(sample->tags);
    sq_tagset_ref(sample->metadata);
    batch->samples[batch->count++] = *sample;
}

void sq_shard_add(struct sq_shard *shard, uint32_t metric_id, struct sq_tagset *tags,
                  struct sq_tagset *metadata, int64_t wall_ns, double value)
{
    if (SQ_UNLIKELY(metric_id >= shard->metrics_count || !shard->metrics[metric_id].sink))
        meet_metric(shard, metric_id);
    const struct sq_shard_metric *m = &shard->metrics[metric_id];
    sq_sink_add(m->sink, wall_ns, value);
    if (tags && (m->subs_count || shard->broken_down))
        add_by_tags(shard, m, metric_id, tags, wall_ns, value);
    if (shard->keep_samples)
        keep_sample(shard, &(struct sq_sample){metric_id, tags, metadata, wall_ns, value});
}

struct sq_sample_batch *sq_shard_take_samples(struct sq_shard *shard)
{
    struct sq_sample_batch *batches = shard->batches;

    shard->batches = shard->batch_last = NULL;
    return batches;
}

void sq_sample_batch_free(struct sq_sample_batch *batch)
{
    if (!batch)
        return;
    for (size_t i = 0; i < batch->count; i++) {
        sq_tagset_unref(batch->samples[i].tags);
        sq_tagset_unref(batch->samples[i].metadata);
    }
    free(batch);
}
