/* SPDX-License-Identifier: Apache-2.0 */
/* The type stripper's program text, embedded by typescript_data.S; only a NUL in a build without
 * it. */
#pragma once

extern const char sq_js_typescript_start[] __attribute__((visibility("hidden")));
extern const char sq_js_typescript_end[] __attribute__((visibility("hidden")));
