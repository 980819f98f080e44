/* SPDX-License-Identifier: Apache-2.0 */
/* The REST API of a running test behind --address (ENG-210 to ENG-217): JSON:API documents over
 * HTTP, served on the main loop. Main thread. */
#pragma once
#include "base/error.h"

struct sq_cli_test;
struct sq_rest;

/* Listens; the test is borrowed until sq_rest_free. */
SQ_MUST_USE int sq_rest_start(struct sq_cli_test *t, const char *address, struct sq_error *err);
void sq_rest_free(struct sq_rest *rest); /* NULL is fine */
/* While the test is paused or lingers: runs the main loop until something asked it to stop, then
 * what a request wants to be done outside of the loop's callbacks (setup, teardown). Without a
 * server just runs the loop. */
void sq_rest_wait(struct sq_cli_test *t);
