/* core/admit.h: how many connections there are, in all, from each client and from each IPv6 /64.
 *
 * The one place that counts over all processes (DESIGN.md, limits that span processes). A
 * connection holds a slot from admit_connect() to admit_release(), or until its channel goes.
 * Clients that may relay skip the limits by client and network, never the total; bans hold for all
 * that have an address. Pure bookkeeping: never suspends.
 */
#pragma once

#include "base/err.h"

#include "ipc/config.h"
#include "ipc/inbound_core.h"
#include "ipc/role.h"

struct admit;

int admit_open(struct admit **a, struct err *e);
void admit_close(struct admit **a);

/* owner: the channel's number, for admit_channel_gone(); class: of the process behind it. Fills
 * answer. */
void admit_connect(struct admit *a, const struct config *config, uint32_t owner,
    enum role_class class, const struct ic_admit *ask, struct ic_admitted *answer);
/* A slot that the owner does not hold is ignored: the process may have died and come back. */
void admit_release(struct admit *a, uint32_t owner, uint32_t slot);
void admit_channel_gone(struct admit *a, uint32_t owner);

/* What a connection may, as it was decided when it came: by its network (relay allow), or as a
 * local program on the submit socket or one of submission. Strangers for a slot that the owner does
 * not hold. */
enum ic_right admit_right(const struct admit *a, uint32_t owner, uint32_t slot);

/* No connection of this client until then (run_now()); network: of its first 8 octets. Of bans that
 * are too many the one that ends first gives way. */
void admit_ban(struct admit *a, const uint8_t address[16], bool network, uint64_t until);
uint32_t admit_banned(const struct admit *a); /* bans in force */

uint32_t admit_count(const struct admit *a);
uint64_t admit_refused(const struct admit *a); /* since start */
