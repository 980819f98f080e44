/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text without printf, which costs more than the rest of a line. Any thread. */
#pragma once
#include "base/buf.h"

void sq_put_int(struct sq_buf *to, int64_t value);
/* As "%f" does. */
void sq_put_fixed6(struct sq_buf *to, double value);
