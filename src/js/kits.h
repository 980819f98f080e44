/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol kits, kits/NAME.js, embedded at build time by cmake/embed_kits. Any thread. */
#pragma once
#include <stddef.h>

/* The source of 'squall/NAME', NUL-terminated; *len does not count the NUL. NULL: no such kit.
 * Static. */
const char *sq_js_kit_source(const char *name, size_t *len);
/* 'squall/NAME' of each kit in turn; NULL behind the last. Static. */
const char *sq_js_kit_name(size_t index);
