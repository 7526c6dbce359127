/* core/queue/sched.h: what is delivered next, where and when: the queue's decisions, and nothing
 * else.
 *
 * Pure: no spool, no network, no fiber, no clock, no random number of its own. `now` is
 * milliseconds of a monotonic clock, handed into every call that needs it, never going back. What
 * it decides is pulled out of it, by calls that return the next thing to do until there is none.
 *
 * A message has deliveries, one for each destination of its recipients that are left. A destination
 * is a way (a domain by its mail exchangers, a configured host); it points at a site, the set of
 * hosts behind it, which many destinations can share. The site owns connections, their number, the
 * rate, and back-off. A delivery is in one state, and in one place:
 *
 *   READY     in a flow of its destination's site (one flow a class and sender), or nowhere as long
 *             as its destination has no site; special ways have a simple list
 *   ACTIVE    in the hands of an executor
 *   DEFERRED  in the heap, until its own time
 *   HELD      nowhere, until it is released
 *
 * A failure of a site costs its messages no attempt: they stay READY and wait for the site's next
 * try. Nothing is linear in the queue: work over many deliveries (a destination that has got
 * another site) is done in portions by sched_tick(). Handles are of slab.h. Time is kept in ticks
 * of SCHED_TICK_MS.
 */
#pragma once

#include "core/queue/sched_types.h"

struct sched;

/* user of a destination or site that goes is given to free_user(). */
int sched_open(struct sched **s, const struct sched_settings *settings,
    void (*free_user)(void *user), uint64_t now);
void sched_close(struct sched **s);
void sched_reconfigure(struct sched *s, const struct sched_settings *settings, uint64_t now);

/* ---- messages and deliveries */

/* Without memory 0. number is set; `order` sorts what was found at start, by sched_sort(). */
uint32_t sched_add(struct sched *s, uint64_t id, uint16_t left, uint64_t order);
void sched_sort(struct sched *s);
uint32_t sched_find(const struct sched *s, uint64_t id);
struct sched_message *sched_message(const struct sched *s, uint32_t message);
struct sched_delivery *sched_delivery(const struct sched *s, uint32_t delivery);
struct sched_dest *sched_dest_of(const struct sched *s, const struct sched_delivery *d);
uint32_t sched_first(const struct sched *s); /* message, in the order of arrival */
uint32_t sched_behind(struct sched *s, uint64_t number);
/* Forgets it; it has no delivery any more. */
void sched_forget(struct sched *s, uint32_t message);

/* What the message's state is to people: active before queued before deferred before held. */
enum sched_state sched_message_state(const struct sched *s, const struct sched_message *m);

/* The delivery of a message to a destination: the one that there is, else a new ACTIVE one that the
 * caller hands on by one of the calls below. Deliveries of one message are made one after the
 * other. 0 without memory. */
uint32_t sched_deliver(struct sched *s, uint32_t message, struct sched_dest *dest);

/* From READY, DEFERRED or HELD into the caller's hands. */
void sched_claim(struct sched *s, uint32_t delivery);
/* From the caller's hands: */
void sched_done(struct sched *s, uint32_t delivery); /* it is gone */
void sched_put_ready(struct sched *s, uint32_t delivery, uint64_t now);
void sched_defer(struct sched *s, uint32_t delivery, uint64_t now);  /* counts an attempt */
void sched_wait(struct sched *s, uint32_t delivery, uint64_t until); /* counts none */
void sched_hold(struct sched *s, uint32_t delivery, uint8_t why);
/* The ACTIVE delivery goes on to another way. */
void sched_redirect(struct sched *s, uint32_t delivery, struct sched_dest *dest);

/* Milliseconds to the attempt behind that many, with jitter. */
uint64_t sched_retry_ms(struct sched *s, unsigned attempts);
uint64_t sched_due_ms(const struct sched *s, const struct sched_delivery *d); /* of `now` */

/* ---- destinations and sites */

struct sched_dest *sched_way(struct sched *s, enum sched_way way); /* of the special ones */
/* By its key; made where it is not there: *made. NULL without memory or at the ceiling. */
struct sched_dest *sched_dest(struct sched *s, struct str key, bool *made);
struct sched_dest *sched_dest_next(const struct sched *s, uint32_t *i); /* all, from *i = 0 */

/* The next destination to be looked up, ASKED from now on; NULL: none. */
struct sched_dest *sched_ask(struct sched *s);
/* Its site, by key; *made: the caller fills user, most and rate of it. -1 without memory: as if it
 * had failed. */
int sched_placed(struct sched *s, struct sched_dest *d, struct str site_key, uint64_t ttl_ms,
    uint64_t now, struct sched_site **site, bool *made);
void sched_unplaced(struct sched *s, struct sched_dest *d, uint32_t reason, uint64_t now);
void sched_refused(
    struct sched *s, struct sched_dest *d, uint32_t reason, uint64_t ttl_ms, uint64_t now);
/* What its site is may have changed: looked up again as soon as it is needed. */
void sched_stale(struct sched *s, struct sched_dest *d, uint64_t now);
struct sched_site *sched_site_next(const struct sched *s, uint32_t *i); /* all, from *i = 0 */
/* Tries it now whatever its back-off says. */
void sched_site_retry(struct sched *s, struct sched_site *site, uint64_t now);
void sched_dest_retry(struct sched *s, struct sched_dest *d, uint64_t now);
uint64_t sched_tick_ms(const struct sched *s, uint32_t tick);

/* ---- what to do */

/* Brings to effect what is due. Returns the time at which to call it again (UINT64_MAX: never);
 * `now`: there is more to do at once. */
uint64_t sched_tick(struct sched *s, uint64_t now);

/* READY deliveries of the special ways, ACTIVE from now on; 0: none. */
uint32_t sched_take_local(struct sched *s);
bool sched_has_local(const struct sched *s);
uint32_t sched_take_unread(struct sched *s); /* from both ends by turns */
/* One that its destination's or site's refusal ends (*reason), or that was put on SCHED_DOOM. */
uint32_t sched_doomed(struct sched *s, uint32_t *reason);

/* A connection to be opened: to conn->site, numbered. NULL: none is wanted or allowed now. */
struct sched_conn *sched_open_next(struct sched *s, uint64_t now);
/* An idle connection to be told that there is work. */
struct sched_conn *sched_wake_next(struct sched *s);
void sched_not_woken(struct sched *s, struct sched_conn *c); /* it could not be told */

enum sched_take {
    TAKE_DELIVERY,
    TAKE_NOTHING,
    TAKE_END, /* the connection is not wanted any more */
};

struct sched_conn *sched_conn(const struct sched *s, uint32_t number);
uint32_t sched_number(struct sched *s); /* for an assignment of the caller's own */
/* The connection asks for something to do. */
enum sched_take sched_take(struct sched *s, struct sched_conn *c, uint64_t now, uint32_t *delivery);
/* The remote answered for its delivery (well: took it), which is in the caller's hands now. */
void sched_answered(struct sched *s, struct sched_conn *c, bool well, uint64_t now);

/* Its delivery is in the caller's hands, nobody was asked about it. */
void sched_dropped(struct sched *s, struct sched_conn *c);

enum sched_end {
    END_DONE,
    END_FAILED,
    END_REFUSED,
    END_LOST,
};
/* It has ended and is freed; a delivery of its is in the caller's hands. */
void sched_closed(
    struct sched *s, struct sched_conn *c, enum sched_end end, uint32_t reason, uint64_t now);

/* ---- age */

enum sched_age {
    AGE_UNKNOWN, /* of this message: read its envelope */
    AGE_EXPIRED,
    AGE_WARN,
};

/* The next message that is too old, or old enough for a warning. now_s: seconds of the clock by
 * which age is counted. 0: none; *next_s is when to ask again (UINT32_MAX: when one is added). */
uint32_t sched_aged(struct sched *s, uint32_t now_s, enum sched_age *age, uint32_t *next_s);
/* When its turn came it was in other hands, or held: it is looked at again. */
void sched_age_again(struct sched *s, uint32_t message);
bool sched_is_expired(const struct sched *s, const struct sched_message *m, uint32_t now_s);

struct sched_stats {
    uint64_t messages[SCHED_STATES];    /* by their state */
    uint64_t unread, waiting_for_sites; /* deliveries */
    uint64_t ready;  /* deliveries that could be taken: not those that wait for sites */
    uint64_t active; /* deliveries */
    uint64_t dests, sites, sites_down, connections;
    uint64_t memory;
};
void sched_stats(const struct sched *s, struct sched_stats *stats);

/* Every invariant of the structure, for tests: linear, CHECKs. */
void sched_check(struct sched *s);
