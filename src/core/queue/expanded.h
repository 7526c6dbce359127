/* core/queue/expanded.h: recipients that an alias makes several of.
 *
 * RFC 3461 5.2.7: who asked to hear of success hears that his recipient was expanded, and nothing
 * of the success of each member. So SUCCESS is taken out of what is stored for such a recipient,
 * and one notification is written once the message is durable. Failures are still told.
 */
#pragma once

#include "core/queue/report.h"

struct expanded;

/* Before the message is sealed: takes SUCCESS from recipients of v->given that have several
 * targets. *x: what to tell, NULL where there is nothing. */
int expanded_take(struct envelope *v, struct expanded **x, struct err *e);

/* The message is durable: tells the sender. Suspends. */
void expanded_tell(struct expanded *x, struct reporter *r, const struct event *event);
void expanded_free(struct expanded *x); /* NULL is allowed */
