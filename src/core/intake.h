/* core/intake.h: what core does for one inbound process: admit, look up, commit.
 *
 * One intake a channel. Nothing that comes over it is believed: ids must be of a lease given to
 * this channel, sizes and counts must agree, recipients are resolved again at the
 * commit. Look-ups are answered at once, on the loop, unless the disk or a next hop has to be
 * asked; a commit runs in a fiber of its own, and its answer leaves when the spool has made it
 * durable.
 */
#pragma once

#include "ipc/channel.h"
#include "ipc/role.h"

struct core;
struct intake;

/* Takes fd. class: of the process behind it. The intake ends by itself when the channel closes. */
int intake_open(struct core *core, int fd, enum role_class class, struct err *e);

/* All intakes: tell them the state of the storage; end them. */
void intake_tell_state(struct core *core);
void intake_close_all(struct core *core);

/* The channel of the inbound that is *owner's, or where that is 0 of any one, which *owner then
 * names; NULL where there is none (any more). To be asked again after every suspension. */
struct channel *intake_channel(struct core *core, uint32_t *owner);
