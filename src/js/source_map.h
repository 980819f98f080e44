/* SPDX-License-Identifier: Apache-2.0 */
/* Source maps (ENG-19): where a position of a bundled or transpiled file came from. Revision 3 of
 * the format, without sections. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

struct sq_source_map;
/* `text` is the map's JSON. NULL with words: no such map. Owned: sq_source_map_free. */
struct sq_source_map *sq_source_map_new(struct sq_slice text, struct sq_error *err);
void sq_source_map_free(struct sq_source_map *map); /* NULL is fine */
struct sq_source_position {
    int line, column;   /* from 1 */
    const char *source; /* as the map names it, sourceRoot before it; borrowed from the map */
};
/* False: nothing is known of that place. */
bool sq_source_map_find(const struct sq_source_map *map, int line, int column,
                        struct sq_source_position *out);

/* The address behind the last `//# sourceMappingURL=` of a file; empty: there is none. */
struct sq_slice sq_source_map_url(struct sq_slice source);
/* Decodes a data: URL. 0, or SQ_EINVALID with words. */
SQ_MUST_USE int sq_source_map_inline(struct sq_slice url, struct sq_buf *out, struct sq_error *err);
