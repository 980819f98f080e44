/* SPDX-License-Identifier: Apache-2.0 */
/* Tar files: reading ends; what is handed out lies inside the input; and what was read, written
 * anew, reads the same. */
#include "cli/tar.h"
#include "fuzz.h"

struct totals {
    size_t files, links, bytes, name_bytes;
};

/* Reads all; with `copy`, files and links are written there. */
static int read_all(struct sq_slice in, struct sq_buf *copy, struct totals *totals)
{
    struct sq_tar_reader reader = {.in = in};
    struct sq_tar_entry entry;
    int rc;

    while ((rc = sq_tar_next(&reader, &entry, NULL)) > 0) {
        FUZZ_CHECK(entry.data.data >= in.data &&
                   entry.data.data + entry.data.len <= in.data + in.len);
        if (entry.kind == SQ_TAR_OTHER || !*entry.name)
            continue;
        totals->files += entry.kind == SQ_TAR_FILE;
        totals->links += entry.kind == SQ_TAR_LINK;
        totals->bytes += entry.data.len;
        totals->name_bytes += strlen(entry.name);
        if (copy && entry.kind == SQ_TAR_FILE)
            sq_tar_put(copy, entry.name, entry.data, 0);
        else if (copy)
            sq_tar_put_link(copy, entry.name, entry.link, 0);
    }
    sq_tar_reader_deinit(&reader);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct totals first = {0}, again = {0};
    struct sq_buf copy = {0};
    uint8_t *input = fuzz_copy(data, size);

    (void)sq_tar_detect(sq_slice(input, size));
    (void)!read_all(sq_slice(input, size), &copy, &first);
    sq_tar_end(&copy);
    FUZZ_CHECK(read_all(sq_buf_slice(&copy), NULL, &again) == 0);
    FUZZ_CHECK(memcmp(&first, &again, sizeof first) == 0);
    sq_buf_deinit(&copy);
    free(input);
    return 0;
}
