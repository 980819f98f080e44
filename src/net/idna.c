/* SPDX-License-Identifier: Apache-2.0 */
#include "net/idna.h"

#include <idn2.h>
#include <stdlib.h>

#include "base/text.h"

/* A label that claims to be Punycode has to be looked at, too (UTS 46, 4 step 4). */
static bool has_a_label(struct sq_slice host)
{
    for (size_t i = 0; i + 4 <= host.len; i++)
        if ((i == 0 || host.data[i - 1] == '.') &&
            sq_ascii_eq_nocase(sq_slice(host.data + i, 4), sq_slice_str("xn--")))
            return true;
    return false;
}

char *sq_idna_to_ascii(struct sq_slice host)
{
    bool ascii = true;
    uint8_t *found = NULL;

    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] == 0)
            return NULL;
        if (host.data[i] >= 0x80)
            ascii = false;
    }
    ascii = ascii && !has_a_label(host);
    char *name = sq_xstrndup((const char *)host.data, host.len);
    if (ascii)
        return name;
    int rc = idn2_lookup_u8((const uint8_t *)name, &found,
                            IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
    free(name);
    if (rc != IDN2_OK)
        return NULL;
    /* libidn2's memory may come from another allocator than free() serves. */
    char *out = sq_xstrdup((const char *)found);
    idn2_free(found);
    return out;
}
