/* inbound/core_link.h: the way from the sessions of an inbound process to core.
 *
 * One channel, attached anew when core has been restarted. What belongs to one life of core (leased
 * ids, slots of connections, uploads) carries the generation it came from and is worth nothing in
 * the next: a transaction begun with an older one ends with 451 4.3.0.
 *
 * Suspends: core_admit, core_new_id, core_resolve, core_put, core_commit. They fail with ERR_CLOSED
 * and 4.3.0 while core is away, and with ERR_DEADLINE where it does not answer in time.
 */
#pragma once

#include "base/log.h"

#include "ipc/channel.h"
#include "ipc/inbound_core.h"

#include "inbound/digester.h"

struct core_link {
    struct channel *channel; /* NULL while core is away */
    uint32_t generation;     /* of the channel, from 1 */
    enum ic_state state;
    uint64_t next_id;
    uint32_t ids_left;
    bool leasing; /* a fiber asks for ids */
    struct cond leased;
    uint32_t last_upload;
    struct buf late; /* notices that had no credit when they were due */
    struct digester digester;
    const struct event *event;
};

/* A connection as core counts it, and knows what it may. */
struct core_slot {
    uint32_t generation, slot; /* generation 0: none */
};

void core_link_init(struct core_link *l, const struct event *event);

/* Takes the descriptor of a channel; the one before is closed. */
int core_link_attach(struct core_link *l, int fd, struct err *e);
void core_link_close(struct core_link *l);

static inline bool core_link_up(const struct core_link *l)
{
    return l->channel != NULL;
}

/* Is what came from that generation still worth something? */
static inline bool core_link_same(const struct core_link *l, uint32_t generation)
{
    return l->channel && l->generation == generation;
}

/* 0: admitted, *slot is held. 1: answer says why not. */
int core_admit(struct core_link *l, const struct ic_admit *ask, struct core_slot *slot,
    struct ic_admitted *answer, struct err *e);
void core_release(struct core_link *l, struct core_slot *slot);

/* An id that nobody else has, for a message of the present generation. */
int core_new_id(struct core_link *l, uint64_t *id, struct err *e);

/* A number for an upload. */
uint32_t core_new_upload(struct core_link *l);

/* One answer a recipient, in the arena, of the core with that generation. The bufs are the
 * session's own: they must stay as they are while the fiber waits. */
int core_resolve(struct core_link *l, uint32_t generation, const struct ic_rcpt *ask,
    struct buf *request, struct buf *reply, struct arena *a, struct ic_rcpt_answer **answers,
    struct err *e);

/* An encoded PUT. wait: until core has written it, and all before it. */
int core_put(
    struct core_link *l, uint32_t generation, struct str payload, bool wait, struct err *e);
void core_abort(struct core_link *l, uint32_t generation, uint32_t upload);

/* An encoded COMMIT. 0 once the message is durable; else *e says what core said. */
int core_commit(
    struct core_link *l, uint32_t generation, struct str payload, struct buf *reply, struct err *e);
