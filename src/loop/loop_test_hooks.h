/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the loop only. */
#pragma once
#include "loop/loop.h"

/* Waits as on kernels without epoll_pwait2 from now on. 0 or -errno. */
SQ_MUST_USE int sq_loop_force_timer_fd(struct sq_loop *loop);
