/* SPDX-License-Identifier: Apache-2.0 */
/* What totals.c must see of a shard. Others use metrics.h. */
#pragma once
#include "metrics/metrics.h"
#include "metrics/slices.h"

struct sq_shard_metric {
    struct sq_sink *sink; /* NULL: no sample yet */
    uint32_t *subs;       /* indices of its sub-metrics */
    uint32_t subs_count;
    enum sq_metric_type type;
};

struct sq_shard {
    struct sq_registry *reg; /* borrowed */
    bool keep_samples, broken_down;
    struct sq_shard_metric *metrics; /* by id */
    size_t metrics_count;
    const struct sq_submetric **sub_defs; /* by index; the registry's, without its lock */
    struct sq_sink **subs;                /* by index; all made from the start */
    size_t subs_count;
    struct sq_sink_slices slices;

    /* What is known of tag sets lately seen, direct-mapped by their serial: which sub-metrics they
     * match (mask_words bits words per place) and which slice they belong to. */
    struct {
        const struct sq_tagset *set; /* never followed: it may be gone */
        uint64_t serial;
        int slice;
    } * seen;
    uint64_t *masks;
    size_t mask_words;

    struct sq_sample_batch *batches, *batch_last;
};
