/* inbound/events.h: the names of what inbound logs. The manual's list of events is made of it.
 *
 * Fields are inherited: those of the connection stand in each event of its transactions, those of
 * the transaction in each of its recipients.
 */
#pragma once

#include <stddef.h>

/* the process */
#define EV_CORE_ATTACHED "core_attached"
#define EV_CORE_GONE     "core_gone"
#define EV_DRAINING      "draining"
#define EV_NOT_SERVED    "not_served"

/* a connection: client, listener */
#define EV_CONNECT     "connect"
#define EV_REFUSED     "connection_refused"
#define EV_DISCONNECT  "disconnect"
#define EV_VIOLATION   "protocol_violation"
#define EV_UNAVAILABLE "core_unavailable"

/* a transaction: id, from */
#define EV_MAIL_REFUSED  "mail_refused"
#define EV_MAIL_ACCEPTED "mail_accepted"
#define EV_RCPT_REFUSED  "rcpt_refused"

struct inbound_event_row {
    const char *name, *level, *meaning;
};

extern const struct inbound_event_row inbound_events[];
extern const size_t inbound_event_count;
