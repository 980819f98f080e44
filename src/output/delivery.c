/* SPDX-License-Identifier: Apache-2.0 */
#include "output/delivery.h"

#include "base/duration.h"
#include "base/log.h"

void sq_delivery_note(struct sq_delivery *d, int rc, const struct sq_error *why)
{
    d->sent++;
    if (rc >= 0)
        return;
    if (d->failed++ == 0)
        sq_log(SQ_LOG_WARN, "output",
               "output %s: %s: %s; the run goes on, and further failures are counted only",
               d->output, d->where, *why->text ? why->text : sq_status_text(rc));
}

void sq_delivery_took(struct sq_delivery *d, int64_t took_ns, int64_t interval_ns)
{
    char took[40], interval[40];

    if (d->slow || took_ns <= interval_ns)
        return;
    d->slow = true;
    sq_duration_format(took_ns / SQ_NS_PER_MS * SQ_NS_PER_MS, took);
    sq_duration_format(interval_ns, interval);
    sq_log(SQ_LOG_WARN, "output",
           "output %s: sending took %s, longer than its interval of %s: the receiver is too slow "
           "or the interval too short",
           d->output, took, interval);
}

void sq_delivery_end(const struct sq_delivery *d)
{
    if (d->failed)
        sq_log(SQ_LOG_WARN, "output", "output %s: %llu of %llu %s failed", d->output,
               (unsigned long long)d->failed, (unsigned long long)d->sent, d->what);
}
