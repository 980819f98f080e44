/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets of permessage-deflate share. */
#pragma once
#include "fuzz.h"
#include "proto/ws/deflate.h"

/* Whether what comes in was compressed with a window below 15 bits, as agreed. */
static inline bool fuzz_small_window(const struct sq_ws_deflate_options *opt)
{
    uint8_t bits =
        opt->server ? opt->agreed.client_max_window_bits : opt->agreed.server_max_window_bits;

    return bits != 0 && bits < 15;
}
