/* SPDX-License-Identifier: Apache-2.0 */
/* The JavaScript halves of modules, NAME.js beside their C, embedded at build time by
 * cmake/embed_scripts; NUL-terminated, each an arrow function. */
#pragma once
#include "js/js.h"

extern const unsigned char sq_js_script_globals_clone[];
extern const unsigned char sq_js_script_streams[];
extern const unsigned char sq_js_script_url_class[];

/* The function, or an exception. `name` is for stacks: "squall:url". In the realm's turn. */
JSValue sq_js_script_eval(JSContext *ctx, const unsigned char *script, const char *name);
