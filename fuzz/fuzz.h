/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share. */
#pragma once
#include <stdlib.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that does not hold ends the run with its input saved. */
#define FUZZ_CHECK(cond) sq_assert(cond)

/* Exactly these bytes in an allocation of their own: a step past the end is caught. Owned: free. */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    if (len)
        memcpy(copy, data, len);
    return copy;
}
