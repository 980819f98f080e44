/* SPDX-License-Identifier: Apache-2.0 */
/* Source maps: any text is read or refused, and what a map says of a place is a place. Input: the
 * line and column that are asked for, a byte each, then the text. */
#include "fuzz.h"
#include "js/source_map.h"

static void ask(const struct sq_source_map *map, int line, int column)
{
    struct sq_source_position at;

    if (!sq_source_map_find(map, line, column, &at))
        return;
    FUZZ_CHECK(at.line >= 1 && at.column >= 1);
    FUZZ_CHECK(strlen(at.source) < SIZE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sq_error err = {0};
    struct sq_buf decoded = {0};

    if (size < 2)
        return 0;
    uint8_t *text = fuzz_copy(data + 2, size - 2);
    struct sq_slice in = sq_slice(text, size - 2);
    struct sq_source_map *map = sq_source_map_new(in, &err);
    FUZZ_CHECK((map != NULL) == (err.code == 0));
    if (map) {
        ask(map, data[0], data[1]);
        ask(map, INT32_MAX, INT32_MAX);
        ask(map, 1, 1);
    }
    sq_source_map_free(map);
    struct sq_slice url = sq_source_map_url(in);
    FUZZ_CHECK(!url.len || (url.data >= in.data && url.data + url.len <= in.data + in.len));
    (void)!sq_source_map_inline(in, &decoded, &err);
    FUZZ_CHECK(decoded.len <= in.len);
    sq_buf_deinit(&decoded);
    free(text);
    return 0;
}
