/* SPDX-License-Identifier: Apache-2.0 */
#include "output/known.h"

#include <stdlib.h>

const struct sq_metric *sq_known_get(struct sq_known *known, uint32_t id)
{
    if (id >= known->count) {
        size_t count = id + 64;
        known->metrics = sq_xrealloc(known->metrics, count * sizeof *known->metrics);
        for (size_t i = known->count; i < count; i++)
            known->metrics[i] = NULL;
        known->count = count;
    }
    if (!known->metrics[id])
        known->metrics[id] = sq_registry_get(known->registry, id);
    sq_assert(known->metrics[id] != NULL);
    return known->metrics[id];
}

void sq_known_deinit(struct sq_known *known)
{
    free(known->metrics);
}
