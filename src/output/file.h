/* SPDX-License-Identifier: Apache-2.0 */
/* A file that an output writes: buffered, gzip when its name ends in ".gz". The output's thread. */
#pragma once
#include "base/buf.h"
#include "output/output.h"

struct sq_output_file;
/* name: NULL, "" or "-" is standard output. -errno with words. */
SQ_MUST_USE int sq_output_file_open(struct sq_output *output, const char *name,
                                    struct sq_output_file **out, struct sq_error *err);
/* Append here, then call sq_output_file_more, which writes when enough is there. */
struct sq_buf *sq_output_file_buf(struct sq_output_file *file);
SQ_MUST_USE int sq_output_file_more(struct sq_output_file *file);
/* Everything so far can be read by others afterwards. */
SQ_MUST_USE int sq_output_file_flush(struct sq_output_file *file);
/* Without if_ok nothing more is written. Frees the file. */
SQ_MUST_USE int sq_output_file_close(struct sq_output_file *file, bool if_ok);
