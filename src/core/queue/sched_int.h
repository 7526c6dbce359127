/* core/queue/sched_int.h: the scheduler's state, for the sched_*.c files alone. */
#pragma once

#include "base/check.h"
#include "base/table.h"

#include "core/queue/due.h"
#include "core/queue/sched.h"
#include "core/queue/slab.h"

enum sched_place {
    PLACE_NONE,
    PLACE_FLOW,
    PLACE_FIFO,
    PLACE_HEAP,
    PLACE_STARVED, /* there was no memory for the heap: looked at again at every tick */
};

enum {
    DEST_KEEP_MS = 60 * 1000, /* a destination without deliveries */
};

enum due_kind { /* the low bits of an item in the heap */
    DUE_DELIVERY,
    DUE_DEST,
    DUE_SITE,
    DUE_KINDS = 4,
};

struct fifo {
    uint32_t first, last, count;
};

/* The READY deliveries of one sender and class at one site, in a ring with the class's others. */
struct flow {
    uint32_t site, sender;
    struct fifo fifo;
    uint32_t next, prev, chain; /* chain: in the hash */
    uint32_t class;
};

struct sched {
    struct sched_settings set;
    void (*free_user)(void *user);
    uint64_t base, now;
    struct slab messages, deliveries, flows, dests, sites;
    uint32_t *ids, ids_cap; /* messages by id: handles, open addressing */
    uint32_t *chains, chains_cap;
    uint32_t first, last; /* messages */
    uint32_t listed;      /* where the last list ended */
    uint64_t last_number;
    uint64_t in_state[SCHED_STATES]; /* messages */
    uint64_t in[SCHED_STATES];       /* deliveries */
    uint64_t waiting;                /* READY ones that wait for a site or for the DNS */
    struct sched_dest *ways[SCHED_WAYS];
    struct fifo fifo[SCHED_WAYS], starved;
    bool from_end;
    struct table dest_table, site_table, conn_table;
    struct due due;
    struct list asking, pouring, want, want_probe, refused, waking;
    uint32_t connections, opening, probing, last_conn, sites_down;
    uint32_t warn_at, expire_at; /* messages; 0: none left to look at */
};

static inline struct sched_message *message_at(const struct sched *s, uint32_t handle)
{
    return slab_at(&s->messages, handle);
}

static inline struct sched_delivery *delivery_at(const struct sched *s, uint32_t handle)
{
    return slab_at(&s->deliveries, handle);
}

static inline struct sched_dest *dest_at(const struct sched *s, uint32_t handle)
{
    return slab_at(&s->dests, handle);
}

static inline struct sched_site *site_at(const struct sched *s, uint32_t handle)
{
    return slab_at(&s->sites, handle);
}

static inline uint32_t tick_of(const struct sched *s, uint64_t ms)
{
    uint64_t tick = ms > s->base ? (ms - s->base) / SCHED_TICK_MS : 0;

    return tick < UINT32_MAX ? (uint32_t)tick : UINT32_MAX - 1;
}

/* The first tick that is not before ms. */
static inline uint32_t tick_from(const struct sched *s, uint64_t ms)
{
    return tick_of(s, ms + SCHED_TICK_MS - 1);
}

/* sched_flow.c */
void fifo_add(struct sched *s, struct fifo *f, uint32_t delivery);
void fifo_remove(struct sched *s, struct fifo *f, uint32_t delivery);
int flow_add(struct sched *s, struct sched_site *site, uint32_t delivery);
void flow_remove(struct sched *s, uint32_t delivery);
uint32_t flow_take(struct sched *s, struct sched_site *site); /* 0: none */

/* sched_delivery.c */
void delivery_place(struct sched *s, uint32_t delivery); /* READY, in no place */
void delivery_unplace(struct sched *s, uint32_t delivery);
void delivery_state(struct sched *s, uint32_t delivery, enum sched_state state);
void delivery_due(struct sched *s, uint32_t delivery);
void delivery_starved(struct sched *s);

/* sched_dest.c */
void dest_timer(struct sched *s, struct sched_dest *d, uint64_t at);
void dest_due(struct sched *s, struct sched_dest *d);
void dest_want(struct sched *s, struct sched_dest *d); /* to be looked up */
bool dest_pour(struct sched *s);                       /* false: nothing is left to be poured */
void dest_free(struct sched *s, struct sched_dest *d);
void dest_waits(struct sched *s, struct sched_dest *d, enum sched_dest_state state);

/* sched_site.c */
struct sched_site *site_find(struct sched *s, struct str key, bool *made);
void site_state(struct sched *s, struct sched_site *site, enum sched_site_state state);
void site_check(struct sched *s, struct sched_site *site); /* does it want a connection? */
void site_failed(struct sched *s, struct sched_site *site);
void site_due(struct sched *s, struct sched_site *site);
void site_gc(struct sched *s, struct sched_site *site); /* frees one that nobody needs */
void site_timer(struct sched *s, struct sched_site *site, uint64_t at);
bool site_has_token(struct sched *s, struct sched_site *site);
uint32_t site_allowed(const struct sched_site *site);

void site_works(struct sched *s, struct sched_site *site, bool well);
void site_shrink(struct sched_site *site, uint32_t to); /* 0: by a quarter */
void site_refuse(struct sched *s, struct sched_site *site);

/* sched.c */
int sched_key_dup(struct str from, struct str *to);
void sched_key_free(struct str *key);
int sched_make_ways(struct sched *s);
void sched_init_sites(struct sched *s);
void sched_init_conns(struct sched *s);
uint64_t sched_jitter(struct sched *s, uint64_t ms, unsigned percent);
