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

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

struct sched;

enum {
    SCHED_TICK_MS = 32,
    SCHED_RETRIES = 64,
    SCHED_DESTS_MAX = 4 << 20,
    SCHED_SITES_MAX = 4 << 20,
};

enum sched_class {
    SCHED_PEOPLE,
    SCHED_NOTICE, /* from the null reverse-path */
    SCHED_BULK,
    SCHED_CLASSES,
};

enum sched_state {
    SCHED_READY,
    SCHED_ACTIVE,
    SCHED_DEFERRED,
    SCHED_HELD,
    SCHED_STATES,
};

enum sched_way {
    SCHED_REMOTE,
    SCHED_UNREAD, /* found at start: its envelope has to be read first */
    SCHED_LOCAL,  /* mailboxes here */
    SCHED_DOOM,   /* to be ended without a connection: see sched_doomed() */
    SCHED_WAYS,
};

struct sched_settings {
    uint64_t retry_ms[SCHED_RETRIES];
    uint32_t retries;                    /* at least one */
    uint64_t lifetime_ms, warn_after_ms; /* warn 0: never */
    uint32_t connections, per_site;
    bool stopped;                              /* nothing is taken */
    uint64_t (*random)(void *arg, uint64_t n); /* evenly among 0 … n-1 */
    void *arg;
};

/* A message and a delivery as the rest of the queue may read them; changed by calls alone. */
struct sched_message {
    uint64_t id, number;       /* number rises in the order of arrival */
    uint32_t next, prev;       /* in that order */
    uint32_t first;            /* of its deliveries, chained by `sibling` */
    uint32_t arrived;          /* seconds, of the clock by which age is counted; 0: not yet known */
    uint32_t sender;           /* whose it is, for fairness: a hash */
    uint16_t left;             /* recipients that are not done */
    uint16_t in[SCHED_STATES]; /* deliveries in each state */
    uint16_t attempt;          /* the last number of a transfer */
    uint16_t flags;            /* set of enum sched_flag */
    uint8_t class;
};

enum sched_flag {
    SCHED_OPERATOR = 1, /* held as a whole */
    SCHED_QUARANTINE = 2,
    SCHED_WARNED = 4,     /* of its delay */
    SCHED_DEATHS = 8,     /* counted in two bits: processes that died with it in hand */
    SCHED_REMOVED = 32,   /* by the operator: ends as soon as nothing of it is under way */
    SCHED_FLYING = 64,    /* with an outbound that an earlier core gave it to */
    SCHED_RELEASED = 256, /* by the operator: rules do not hold it again */
    SCHED_TOLD = 128,     /* some outcomes of it may not be durable yet */
};

struct sched_delivery {
    uint32_t message, dest;
    uint32_t next, prev;           /* in its place */
    uint32_t mate_next, mate_prev; /* all of a destination */
    uint32_t sibling;
    uint32_t where;  /* flow, or place in the heap */
    uint32_t at;     /* DEFERRED: tick at which it is due */
    uint32_t reason; /* why, as the caller numbers it; 0: none */
    uint8_t state, place, attempts, why_held;
};

enum sched_dest_state {
    DEST_NEW,     /* its site is not known */
    DEST_ASKED,   /* being looked up */
    DEST_PLACED,  /* has a site, maybe being looked up again */
    DEST_FAILING, /* could not be looked up; again at its time */
    DEST_REFUSED, /* never: until its time */
};

struct sched_dest {
    struct str key; /* in memory of its own */
    enum sched_way way;
    enum sched_dest_state state;
    void *user; /* what the caller knows of it: freed by settings of sched_open() */
    struct sched_site *site;
    struct list of_site, asking, pouring;
    uint32_t handle, first, last, cursor; /* its deliveries */
    uint32_t count, ready, unplaced;      /* of them: READY; and READY without a place */
    uint32_t failures, reason;
    uint32_t place, until; /* in the heap: lookup holds, or back-off ends */
    bool asked;
    uint32_t stamp_message, stamp_delivery; /* sched_deliver() */
};

enum sched_site_state {
    SITE_UP,
    SITE_BACK_OFF, /* no connection until `until` */
    SITE_PROBING,  /* one connection tells whether it is up again */
    SITE_REFUSED,  /* its deliveries are doomed, until `until` */
};

struct sched_site {
    struct str key; /* in memory of its own */
    enum sched_site_state state;
    void *user;
    struct list dests;
    struct list want;    /* among those that want a connection */
    struct list refused; /* among those whose deliveries are doomed */
    struct list idle;    /* connections without work */
    uint32_t handle;
    uint32_t ring[SCHED_CLASSES]; /* flows */
    uint8_t credit[SCHED_CLASSES];
    uint32_t ready;                              /* deliveries in flows */
    uint32_t open, opening, busy, idles, ending; /* connections: all, not yet greeted, … */
    uint32_t most;                               /* connections allowed by configuration */
    uint32_t window;                             /* and by experience, in 1/256 */
    bool shrunk;
    uint32_t rate;   /* messages a minute; 0: any */
    uint64_t tokens; /* in 1/60000 of a message */
    uint64_t tokens_at;
    uint32_t service; /* milliseconds that a delivery takes, about; 0: not known */
    uint32_t failures, reason;
    uint64_t delivered, reason_at;
    uint32_t place, until;
};

enum sched_conn_state {
    CONN_OPENING,
    CONN_IDLE,
    CONN_WOKEN, /* idle, and has been told of work */
    CONN_BUSY,
    CONN_ENDING, /* told to end */
};

struct sched_conn {
    uint32_t number; /* of the assignment */
    bool probe;      /* opened to see whether the site is up again */
    enum sched_conn_state state;
    struct sched_site *site;
    struct list link;     /* idle of its site, or to be woken */
    struct list everyone; /* all of an executor: the caller's */
    uint32_t delivery;    /* BUSY */
    uint32_t done;        /* deliveries that the remote has answered */
    uint64_t since;       /* of the delivery */
    void *user;
};

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
