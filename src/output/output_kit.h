/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of outputs: a registry, samples and what was logged; a decoder of protobuf. */
#pragma once
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/test.h"
#include "output/output.h"

struct sq_output_kit {
    struct sq_registry *reg;
    struct sq_tag_table *table;
    struct sq_shard *shard;
    struct sq_output_env env;
    char dir[64], path[128];
    char *log_text; /* what was logged since init */
    size_t log_len;
    FILE *log;
    struct sq_log_options log_before;
};

/* variables: "K6_X=..." up to a NULL, or NULL for none. */
void sq_output_kit_init(struct sq_output_kit *kit, char *const *variables, const char *file);
/* All references to tag sets must be gone by now. */
void sq_output_kit_deinit(struct sq_output_kit *kit);
uint32_t sq_output_kit_metric(struct sq_output_kit *kit, const char *name, enum sq_metric_type type,
                              enum sq_metric_contains contains);
/* tags: "a=b" items up to a NULL; NULL: none. */
void sq_output_kit_sample(struct sq_output_kit *kit, uint32_t metric, char *const *tags,
                          char *const *metadata, int64_t wall_ns, double value);
/* Opens `spec`, pushes the samples so far, closes with this deadline from now. Returns what the
 * close does. */
size_t sq_output_kit_run(struct sq_output_kit *kit, const char *spec, int64_t deadline_ns);
/* What was logged. Borrowed. */
const char *sq_output_kit_log(struct sq_output_kit *kit);
char *sq_output_kit_read(const char *path); /* owned: free */
/* A UDP or TCP socket on 127.0.0.1 that nobody reads; its port. */
int sq_output_kit_listen(int type, int *port);
/* Whatever datagrams are there, one behind the other. owned: free */
char *sq_output_kit_datagrams(int fd);

struct sq_pb_field {
    unsigned field;
    int wire;
    uint64_t number;       /* varint, fixed64 */
    struct sq_slice bytes; /* wire type 2 */
};
/* The next field of a message; false at its end or at what is no field. */
bool sq_pb_next(struct sq_slice *in, struct sq_pb_field *out);
double sq_pb_as_double(uint64_t bits);
int64_t sq_pb_as_sint(uint64_t zigzag);
