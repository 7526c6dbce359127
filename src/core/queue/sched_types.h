/* core/queue/sched_types.h: what the scheduler decides about: see sched.h.
 *
 * Its users read these; only its calls change them, where no comment says otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

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
