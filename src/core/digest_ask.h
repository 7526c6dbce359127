/* core/digest_ask.h: the digest of content that core has and no inbound has seen.
 *
 * core parses no MIME, so an inbound is asked (ipc/inbound_core.h, IC_DIGEST_PUT). Mail without a
 * digest can be delivered and read; it cannot be listed by subject or searched.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct core;

/* Appends it to out. -1 where there is no inbound, or none that answers in time. Suspends. */
int digest_ask(struct core *c, struct str content, struct buf *out, struct err *e);
