/* core/queue/queue_int.h: the queue's state, for the files of this folder. */
#pragma once

#include "base/list.h"
#include "base/table.h"

#include "ipc/core_outbound.h"
#include "ipc/dns.h"

#include "core/envelope.h"
#include "core/queue/queue.h"
#include "core/queue/reason.h"
#include "core/queue/report.h"
#include "core/queue/sched.h"

enum {
    QUEUE_LOOKUPS = 64,      /* questions to the resolver at a time */
    QUEUE_REPORTS = 64,      /* outcomes that wait for their report */
    QUEUE_LOCAL_WORKERS = 2, /* while one waits for a sync the other gathers */
    QUEUE_ENDERS = 4,        /* fibers that end deliveries without a connection */
    QUEUE_ARENA = 64 << 20,
};

/* Why a delivery is HELD. */
enum why_held {
    HELD_OPERATOR = 1,
    HELD_RULE,
    HELD_ROUTE,
    HELD_QUARANTINE,
    HELD_DAMAGED,
};

/* What a destination's and a site's `user` are: one block each, mem_free() ends it. */
struct way {
    struct route route;
};

struct hosts {
    bool lmtp, by_mx;
    struct str helo_name;
    uint32_t count;
    uint16_t *preference; /* of each: equal ones are tried in any order */
    struct co_host host[];
};

/* What happened to one recipient. */
struct outcome_rcpt {
    uint32_t index;
    uint8_t state; /* enum spool_rcpt_state */
    bool report, relayed, dsn_passed, lmtp;
    uint16_t code;
    struct err_status status;
    struct str text, host, address;
};

/* Changes of a message that may not be durable yet: the spool's index does not show them. */
struct told {
    uint64_t id, ticket;
    struct list order;
    uint32_t count, cap;
    struct told_rcpt {
        uint32_t index;
        struct spool_rcpt rcpt;
    } * rcpt;
};

struct outlink;

struct queue {
    const struct config *config;
    struct directory *directory;
    struct mailboxes *mailboxes;
    const struct event *event;
    struct queue_parts parts;
    struct spool *spool;
    struct sched *sched;
    struct routes *routes;
    struct dns_client dns;
    struct reasons reasons;
    struct arena scratch; /* of queue_add() */

    struct scope workers, tasks; /* fibers for good; those that end by themselves */
    struct cond local_work, read_work, end_work, idle;
    struct turn_hook hook;
    struct timer *timer;
    bool started, stopping;
    uint32_t lookups, reports_waiting, probes;
    uint32_t local_active, reading, ending;

    struct list links; /* outbounds */
    struct table told;
    struct list told_order, confirms;
    uint32_t unconfirmed;

    int64_t age_ms; /* what the clock by which age is counted had at `age_at` */
    uint64_t age_at, expire_from, age_next;
    int64_t newest_ms; /* the latest time that the messages found speak of */
    uint32_t found;

    bool aging;
    uint64_t sweep; /* the message to be routed again next, by its number; 0: none */
    struct queue_stats counts;
};

/* queue.c */
void queue_kick(struct queue *q); /* decisions are due at the end of this turn */
int64_t queue_age_ms(const struct queue *q);
uint32_t queue_age_s(const struct queue *q);
bool queue_is_expired(struct queue *q, const struct sched_message *m);
bool queue_has_outbound(const struct queue *q);

/* local_work.c */
void queue_local_fiber(void *arg);

/* routing.c: from an envelope to deliveries */
enum routed {
    ROUTED,
    ROUTED_LATER, /* in a fiber: the directory has to read */
    ROUTED_FAILED,
};
enum routed queue_route(
    struct queue *q, uint32_t message, uint32_t unread, const struct envelope *v);
int queue_fresh(struct queue *q, uint32_t message, struct str envelope);
void queue_read_fiber(void *arg);
/* The envelope of a live message, slices into text. Suspends. */
int queue_load_envelope(struct queue *q, struct arena *a, uint64_t id, struct buf *text,
    struct envelope *v, struct err *e);
bool queue_holds(const struct queue *q, const struct sched_message *m, const struct envelope *v,
    uint32_t target);
void queue_damaged(struct queue *q, uint32_t delivery, const struct err *why);

/* reroute.c */
void queue_start_found(struct queue *q);
bool queue_routes_differ(const struct config *a, const struct config *b);
/* What is not under way of a message is routed and tried anew. */
void queue_restart(struct queue *q, uint32_t message);
/* One message after a reload; false: none is left. */
bool queue_sweep(struct queue *q);

/* resolve.c: from a destination to its site */
struct resolving {
    struct queue *q;
    struct sched_dest *dest;
};
void queue_resolve_fiber(void *arg); /* a struct resolving, which it frees */
int queue_find_hosts(struct queue *q, struct arena *a, const struct route *route,
    struct hosts **hosts, struct str *site_key, uint64_t *ttl_ms, struct err *e);
struct way *way_copy(const struct route *route);

/* settle.c: outcomes become durable and known. Suspends where somebody has to be told. -1: nothing
 * has changed. The message may be gone afterwards (then *gone). */
int queue_settle(struct queue *q, uint64_t id, const struct envelope *v,
    const struct outcome_rcpt *rcpt, uint32_t count, bool *durable, struct err *e);
bool queue_must_report(const struct envelope *v, const struct outcome_rcpt *rcpt, uint32_t count);
/* What is known of a recipient, durable or not. */
struct spool_rcpt queue_rcpt(const struct queue *q, const struct spool_found *found,
    const struct sched_message *m, uint32_t i);
int queue_tell(
    struct queue *q, uint64_t id, const struct spool_change *change, uint32_t count, struct err *e);
void queue_fill_row(const struct queue *q, uint32_t message, struct queue_row *row);
bool queue_rcpt_done(struct spool_rcpt rcpt);
uint16_t queue_status(uint16_t code, uint16_t flags);
void queue_told_init(struct queue *q);
void queue_told_done(struct queue *q);

enum { /* spool_rcpt.status: the code of the last reply below, and */
    STATUS_CODE = 0x3ff,
    STATUS_WARNED = 0x400,
    STATUS_HELD = 0x800,
    STATUS_QUARANTINE = 0x1000,
    STATUS_REMOVED = 0x2000,
};

/* Puts an ACTIVE delivery back into its message's state: held, removed later, or as asked. */
enum back {
    BACK_READY,
    BACK_DEFER,
};
void queue_back(struct queue *q, uint32_t delivery, enum back back);
void queue_age_again(struct queue *q, uint32_t message);
/* A message whose deliveries were all claimed: each goes where it was. */
void queue_again(struct queue *q, uint32_t message);
/* It has no recipients left. */
void queue_delivery_done(struct queue *q, uint32_t delivery);

/* end.c: deliveries and messages that end without a connection */
void queue_end_fiber(void *arg);

/* outlink.c */
void outlink_open(struct queue *q, const struct role_peer *peer, int fd);
uint64_t outlink_pump(struct queue *q);
void outlink_close_all(struct queue *q); /* suspends */
void outlink_confirm(struct queue *q, uint64_t durable);
void outlink_confirms_done(struct queue *q);

/* trace and log */
void queue_trace(struct queue *q, int kind, uint64_t id, struct str to, struct str text);
