/* SPDX-License-Identifier: Apache-2.0 */
/* Between run.c (main thread) and jobs.c (workers): threads and the messages they exchange. */
#pragma once
#include "vu/run.h"

struct sq_thread {
    pthread_t id;
    struct sq_run *run;
    struct sq_loop *loop;
    struct sq_worker worker;
    struct sq_error error;
    int rc;
    bool started;
    size_t initialising; /* next VU of this worker to initialise */
    struct sq_timer goodbye_timer;
    int64_t goodbye_deadline_ns;
};

/* A message between the main thread and a worker: allocated by the sender, freed by the receiver.
 */
struct message {
    struct sq_post post;
    struct sq_run *run;
    struct sq_thread *thread;
    struct sq_vu *vu;
    struct sq_gate *gate;
    struct sq_shard *shard;
    struct sq_sample_batch *samples;
    uint64_t number, binding;
    int64_t interrupt_ns; /* on the loops' clock; INT64_MAX: none */
    size_t scenario;
    uint32_t slot;
    int code;
    char *text;
};

/* Allocates a message that will run `run_fn` where it arrives. */
struct message *sq_message_new(struct sq_run *run, void (*run_fn)(struct sq_post *post));
static inline struct message *message_of(struct sq_post *post)
{
    return SQ_CONTAINER_OF(post, struct message, post);
}
static inline void send_to_main(struct message *m)
{
    sq_loop_post(m->run->loop, &m->post);
}
static inline void send_to_vu(struct message *m, struct sq_vu *vu)
{
    m->vu = vu;
    sq_loop_post(vu->worker->loop, &m->post);
}

/* jobs.c: the job that runs a VU's init code and reports with vu_initialised (run.c). */
void sq_job_initialise(struct sq_vu *vu);
void sq_run_vu_initialised(struct sq_post *post);
