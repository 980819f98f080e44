/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks by (scenario, group), for shards and totals: the data of --summary-mode full. One thread.
 */
#pragma once
#include "metrics/metrics.h"

enum { SQ_SLICES_MAX = 2000, SQ_SLICE_NONE = -1 };

struct sq_sink_slice {
    char *scenario, *group;
    struct sq_sink **sinks; /* by metric id; NULL: none yet */
    size_t sinks_count;
};
struct sq_sink_slices { /* zeroed is empty and valid */
    struct sq_sink_slice *items;
    size_t count, cap;
    bool full; /* a script that names groups by number would take all memory */
};

/* Its index, made at need; SQ_SLICE_NONE when there are SQ_SLICES_MAX already. */
int sq_slices_at(struct sq_sink_slices *slices, struct sq_slice scenario, struct sq_slice group);
/* Made at need. */
struct sq_sink *sq_slices_sink(struct sq_sink_slices *slices, int index, uint32_t metric_id,
                               enum sq_metric_type type);
/* Adds all of `from` and empties its sinks. */
void sq_slices_move(struct sq_sink_slices *into, struct sq_sink_slices *from);
void sq_slices_deinit(struct sq_sink_slices *slices);
