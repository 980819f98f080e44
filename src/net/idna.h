/* SPDX-License-Identifier: Apache-2.0 */
/* Unicode host names as DNS, TLS and the Host header spell them (WS-24, UTS 46). Any thread. */
#pragma once
#include "base/base.h"

/* ASCII input comes back as it is, letter case included. NULL: not a host name. Owned: free(). */
char *sq_idna_to_ascii(struct sq_slice host);
