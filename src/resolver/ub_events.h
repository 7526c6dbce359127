/* resolver/ub_events.h: libunbound's events on our loop, without its threads and processes.
 *
 * Fills the table of unbound-event.h: descriptors by an epoll set of its own that the loop watches,
 * times by the loop's timers. Callbacks run on the loop's stack, never on a fiber's: libunbound's
 * frames are deep.
 */
#pragma once

#include "base/err.h"

struct ub_event_base;
struct ub_events;

int ub_events_open(struct ub_events **b, struct err *e);
struct ub_event_base *ub_events_base(struct ub_events *b);
/* When libunbound has given its events back. */
void ub_events_close(struct ub_events **b);
