/* core/queue/outlink_int.h: the channels to outbounds, for the outlink_*.c files alone. */
#pragma once

#include "ipc/channel.h"

#include "core/queue/queue_int.h"

/* One outbound process. */
struct outlink {
    struct list link;
    struct queue *q;
    struct channel *channel;
    struct scope scope; /* a fiber a frame that has to wait */
    struct list conns;  /* sched_conn.everyone */
    struct list flying; /* messages that an earlier core gave it */
    struct list probes;
    uint32_t number, count;
    uint64_t quiet_until; /* it declines what it is told to open: not at once again */
    bool attached, closing;
};

/* A connection's: sched_conn.user. */
struct carrier {
    struct outlink *link;
    struct flight *flight;
    struct cond free;
    bool working;
    bool ended; /* outbound said so: no frame finds it any more */
};

/* A transfer under way. */
struct flight {
    struct arena arena;
    struct buf text;
    struct envelope v;
    uint64_t id, content;
    uint32_t message, delivery;
    uint16_t attempt;
    bool lmtp;
    uint32_t *rcpt; /* indexes of recipients that were given, rising */
    uint32_t rcpts;
    uint32_t others;  /* of the destination that were not given this time */
    bool others_wait; /* they were deferred before: their time has not come */
    struct co_rcpt *given;
};

struct flying {
    struct list link;
    uint64_t id;
    uint16_t attempt;
};

/* A question of outbound that is answered by a fiber: its frame, copied. */
struct ask {
    struct outlink *link;
    struct channel_call from;
    uint16_t type;
    struct buf frame;
    struct arena arena;
};

void ask_free(struct ask *a);
struct outlink *outlink_newest(const struct queue *q); /* attached; or NULL */
bool outlink_send_open(
    struct outlink *l, uint32_t number, struct str site, const struct hosts *hosts);

/* outlink_give.c: makes the transfer of an ACTIVE delivery. 0: *flight; 1: nothing of it can go
 * now, and it is where it belongs; -1: not now. Suspends. */
int flight_make(
    struct queue *q, uint32_t delivery, uint32_t rcpts_max, struct flight **flight, struct err *e);
void flight_free(struct flight *f);
/* The reply to CO_NEXT. Suspends. */
int flight_encode(struct queue *q, struct flight *f, struct buf *out, struct err *e);
void flight_rcpts(const struct flight *f, uint32_t from, struct buf *out);

/* outlink_outcome.c. The flight is taken over, and what `a` holds if it needs it. */
void flight_ended(struct outlink *l, struct sched_conn *c, struct flight *f,
    const struct co_outcome *o, struct ask *a);
void flight_lost(struct queue *q, struct flight *f); /* its outbound has died. Suspends */
void outlink_attach(struct outlink *l, const struct co_attach *attach); /* suspends */

/* To be confirmed when what was handed to the spool so far is durable, or now. */
void outlink_confirm_later(
    struct queue *q, uint32_t link, uint64_t id, uint16_t attempt, bool durable);

/* outlink_probe.c */
struct probe;
bool outlink_probe_next(struct outlink *l, const struct co_next *next, struct channel_call from);
bool outlink_probe_closed(struct outlink *l, const struct co_closed *closed);
void outlink_probe_gone(struct outlink *l);
