/* core/history.h: what core's own parts write into the history (core/trace/trace.h).
 *
 * Never suspends, never fails. What happens to a message once it is in the queue, the queue writes
 * itself.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct core;
struct message;

/* A sealed message that is about to be committed: whence it came, and its final recipients. Written
 * before the commit, so that it stands before what a delivery has to say; a commit that fails then
 * says history_not_kept(). */
void history_received(struct core *c, const struct message *m);
void history_not_kept(struct core *c, uint64_t id, const struct err *why);

/* A recipient that was refused at RCPT. */
void history_refused(struct core *c, struct str from, struct str to, const struct err *why);

/* A notification about a message was made: its own life begins, and the other one says so. */
void history_notified(struct core *c, uint64_t about, const struct message *m, bool delayed);
/* A recipient failed and nobody is told. */
void history_unheard(struct core *c, uint64_t id, struct str to);
