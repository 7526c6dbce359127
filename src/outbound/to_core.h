/* outbound/to_core.h: the way from the couriers of an outbound process to core.
 *
 * One channel, attached anew when core has been restarted. Assignments belong to one life of core
 * (its generation): under another nothing can be asked for them. What outbound knows and core has
 * not confirmed is told by a fiber of its own: all of it at the start of a life (CO_ATTACH), and
 * later what came of deliveries of the lives before.
 *
 * Suspends: to_core_next, to_core_read, to_core_rcpts. They fail with ERR_CLOSED where core or that
 * life of it is gone, and with ERR_DEADLINE where it does not answer.
 */
#pragma once

#include "base/log.h"

#include "ipc/channel.h"

#include "outbound/outcomes.h"

/* What core says; called outside any fiber. */
struct to_core_handler {
    void (*open)(void *arg, const struct co_open *open);
    void (*work)(void *arg, uint32_t assignment);
    void (*close)(void *arg, uint32_t assignment);
    void (*gone)(void *arg);
    /* What is being sent at this moment, in the arena. -1 without memory. */
    int (*flying)(void *arg, struct arena *a, struct co_flying **v, uint32_t *count);
};

struct to_core {
    struct channel *channel; /* NULL while core is away */
    uint32_t generation;     /* of the channel, from 1 */
    const struct to_core_handler *handler;
    void *arg;
    struct outcomes outcomes;
    struct cond confirmed; /* something was confirmed, or core came or went */
    struct buf closed;     /* notices that had no credit when they were due */
    struct scope tellers;
    struct cond untold; /* there may be something to tell */
    const struct event *event;
};

void to_core_init(struct to_core *t, const struct event *event);
void to_core_handle(struct to_core *t, const struct to_core_handler *handler, void *arg);
/* Takes the descriptor of a channel; the one before is closed. */
int to_core_attach(struct to_core *t, int fd, struct err *e);
void to_core_done(struct to_core *t); /* suspends */

static inline bool to_core_same(const struct to_core *t, uint32_t generation)
{
    return t->channel && t->generation == generation;
}

/* request and reply are the caller's, on the heap; *given points into reply and the arena. */
int to_core_next(struct to_core *t, uint32_t generation, const struct co_next *next,
    struct buf *reply, struct arena *a, struct co_given *given, struct err *e);
/* Appends the octets to out; all that were asked for, or it fails. */
int to_core_read(struct to_core *t, uint32_t generation, const struct co_read *read,
    struct buf *out, struct err *e);
int to_core_rcpts(struct to_core *t, uint32_t generation, uint32_t assignment, uint32_t from,
    struct buf *reply, struct arena *a, struct co_rcpt **v, uint32_t *count, struct err *e);
/* Never suspends. */
void to_core_closed(struct to_core *t, uint32_t generation, const struct co_closed *closed);

/* Keeps an outcome. It is told by the caller (CO_NEXT, CO_CLOSED) if this life of core gave the
 * delivery, else by the fiber here. */
void to_core_keep(struct to_core *t, uint32_t generation, const struct co_outcome *outcome);
