/* SPDX-License-Identifier: Apache-2.0 */
#include "output/snappy.h"

#include <dlfcn.h>
#include <snappy-c.h>

int sq_snappy_load(struct sq_snappy *snappy, struct sq_error *err)
{
    *snappy = (struct sq_snappy){.library = dlopen("libsnappy.so.1", RTLD_NOW | RTLD_LOCAL)};
    if (!snappy->library)
        return sq_error_set(err, SQ_EINVALID, "cannot load libsnappy: %s; install libsnappy1v5",
                            dlerror());
    snappy->compress = dlsym(snappy->library, "snappy_compress");
    snappy->max_len = dlsym(snappy->library, "snappy_max_compressed_length");
    if (!snappy->compress || !snappy->max_len)
        return sq_error_set(err, SQ_EINVALID, "libsnappy has no C interface");
    return 0;
}

void sq_snappy_compress(const struct sq_snappy *snappy, struct sq_slice from, struct sq_buf *to)
{
    __typeof__(&snappy_compress) compress;
    __typeof__(&snappy_max_compressed_length) max_len;

    memcpy(&compress, &snappy->compress, sizeof compress);
    memcpy(&max_len, &snappy->max_len, sizeof max_len);
    size_t len = max_len(from.len);
    to->len = 0;
    int rc = sq_buf_reserve(to, len);
    sq_assert(rc == 0);
    rc = compress((const char *)from.data, from.len, (char *)to->data, &len);
    sq_assert(rc == SNAPPY_OK);
    to->len = len;
}
