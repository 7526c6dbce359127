/* outbound/events.h: the names of what outbound logs. The manual's list of events is made of it.
 *
 * Fields are inherited: those of an assignment (site) and its connection (host, address) stand in
 * each event of its deliveries.
 */
#pragma once

#include <stddef.h>

/* the process */
#define EV_OUT_CORE_ATTACHED "core_attached"
#define EV_OUT_CORE_GONE     "core_gone"
#define EV_OUT_DRAINING      "draining"
#define EV_OUT_UNAVAILABLE   "core_unavailable"
#define EV_OUT_RESOURCES     "out_of_resources"

/* an assignment: site */
#define EV_CONNECTED     "connected"
#define EV_UNREACHABLE   "connection_failed"
#define EV_LOST          "connection_lost"
#define EV_CLOSED        "connection_closed"
#define EV_SITE_FAILED   "site_failed"
#define EV_STALE         "connection_stale"
#define EV_STRANGE_REPLY "strange_reply"

/* a recipient: id, from, to */
#define EV_SENT       "sent"
#define EV_DEFERRED   "deferred"
#define EV_FAILED     "failed"
#define EV_UNKNOWN    "outcome_unknown"
#define EV_LONG_LINES "long_lines"

struct outbound_event_row {
    const char *name, *level, *meaning;
};

extern const struct outbound_event_row outbound_events[];
extern const size_t outbound_event_count;
