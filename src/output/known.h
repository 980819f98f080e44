/* SPDX-License-Identifier: Apache-2.0 */
/* The registry's metrics by id without its lock. The output's thread. */
#pragma once
#include "metrics/metrics.h"

struct sq_known { /* `registry` set, the rest zeroed */
    struct sq_registry *registry;
    const struct sq_metric **metrics; /* by id; NULL: not asked for yet */
    size_t count;
};

const struct sq_metric *sq_known_get(struct sq_known *known, uint32_t id);
void sq_known_deinit(struct sq_known *known);
