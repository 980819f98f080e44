/* SPDX-License-Identifier: Apache-2.0 */
/* Small helpers on C strings. Any thread. */
#pragma once
#include "base/base.h"

/* Edits (insert, delete, replace, swap of neighbours) that turn a into b; 255 for long strings. */
unsigned sq_text_distance(const char *a, const char *b);
/* The candidate nearest to `wanted`, or NULL when none is near enough to suggest. */
const char *sq_text_nearest(const char *wanted, const char *const *candidates, size_t count);
bool sq_text_starts(const char *text, const char *prefix);
/* ASCII only, whatever the locale. */
char sq_ascii_lower(char c);
bool sq_ascii_eq_nocase(struct sq_slice a, struct sq_slice b);
/* Without blanks and tabs on both ends. */
struct sq_slice sq_slice_trim(struct sq_slice s);
/* Shortest decimal text that reads back as the same double, integers without a point, in
 * JavaScript's and Go's JSON form. `out` needs 32 bytes. */
void sq_double_format(double value, char out[32]);
