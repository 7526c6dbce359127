/* core/queue/queue.h: what is left to do for the messages in the spool, and doing it.
 *
 * A message is here from the moment it is durable (or was found at start) until its last recipient
 * is done. Recipients that share a way form one delivery: into mailboxes here (local.h), or to a
 * destination, whose hosts are a site. What is next, for which site and when is decided by sched.h,
 * which knows nothing of spool and network; envelopes are read again when a delivery is due.
 * Outcomes are journaled in the spool, failures and delays reported (report.h), a crash in between
 * delivers nothing twice but what docs/queue.md counts. Memory is under 200 octets a message, the
 * spool's entry included, never an envelope. docs/queue.md has the data structures and the rules.
 *
 * All calls on the loop's thread. Suspends: what says so.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"

#include "run/fiber.h"

#include "ipc/config.h"

#include "core/queue/route.h"
#include "core/spool/spool.h"

struct directory;
struct forward;
struct holds;
struct mailboxes;
struct queue;
struct report;
struct role_peer;
struct trace;

/* Who writes notifications: report.h, or a test. As report() and reporter_ready(). */
struct queue_reports {
    int (*report)(void *arg, const struct report *what, struct err *e);
    bool (*ready)(void *arg, uint64_t *again);
    void *arg;
};

struct queue_settings {
    const struct config *config; /* may be exchanged by queue_reconfigure() */
    struct directory *directory;
    struct mailboxes *mailboxes;
    const struct event *event;
};

struct queue_parts {
    struct spool *spool;
    struct queue_reports reports;
    struct holds *holds;           /* NULL: no rules */
    struct trace *trace;           /* NULL: no history */
    const struct forward *forward; /* NULL: senders are never rewritten */
};

int queue_open(struct queue **q, const struct queue_settings *settings, struct err *e);
/* The deliveries begin; found messages may have come before. */
int queue_start(struct queue *q, const struct queue_parts *parts, struct err *e);
/* The old configuration may go once this has returned. */
void queue_reconfigure(struct queue *q, const struct config *config);

/* A channel from on_peer: an outbound's or a resolver's; fd belongs to the queue now. */
void queue_peer(struct queue *q, const struct role_peer *peer, int fd);

/* Suspends until the deliveries that run here have ended; those that wait stay in the spool, what
 * an outbound has in hand goes on and is told to the next core. */
void queue_close(struct queue **q);

/* spool's on_live and on_durable. Never suspend; queue_add() is -1 without memory. */
int queue_add(struct queue *q, const struct spool_found *found);
void queue_durable(struct queue *q);

/* What our own storage deferred is tried again at once: the reason has gone. */
void queue_retry_now(struct queue *q);

/* Suspends until nothing waits but what is deferred, held, or waits for a site in back-off. */
int queue_wait_idle(struct queue *q, struct err *e);

/* ---- for operators */

enum queue_state {
    QUEUE_QUEUED,
    QUEUE_ACTIVE,   /* on its way at this moment */
    QUEUE_DEFERRED, /* until a time, its own or its site's */
    QUEUE_HELD,
    QUEUE_STATES,
};

const char *queue_state_name(enum queue_state state);
struct queue_stats {
    uint64_t messages, waiting, active, deferred, held; /* now: all of them, and in which state */
    uint64_t unread;                                    /* found at start, not yet looked into */
    uint64_t delivered, duplicates, relayed, failures;  /* recipients; failures may be repeated */
    uint64_t failed, expired, discarded, removed;       /* recipients since start, for good */
    uint64_t unknown; /* attempts since start whose outcome was lost (RFC 1047) */
    uint64_t connections, sites, sites_in_back_off, destinations;
    uint64_t memory; /* octets of the queue's own indexes */
};

void queue_stats(const struct queue *q, struct queue_stats *stats);

/* What a list or an act is about: all that is given applies. Patterns: an address or a domain, `*`
 * stands for anything, ASCII case does not matter. */
struct queue_filter {
    const uint64_t *id; /* only these; NULL: any */
    uint32_t ids;
    struct str to, from; /* patterns; empty: any. from "<>" is the null reverse-path */
    struct str site;     /* a pattern for a host, destination or site of what is left */
    uint64_t older_ms;   /* than this */
    bool has_state;
    enum queue_state state;
};

struct queue_row {
    uint64_t id, number; /* number rises in the order of arrival: a list goes on behind it */
    uint64_t size;
    int64_t arrived_ms; /* 0: not yet known */
    enum queue_state state;
    uint32_t rcpts, left; /* in all; not yet done */
};

/* Up to `limit` messages in the order of arrival, behind the one numbered *after (0: from the
 * first), by the filter (NULL: all). *after is moved on; 0 when there are no more. Fewer rows than
 * `limit`, even none, may come before the end: a call looks at a bounded number of messages.
 * Suspends where the filter needs envelopes; rows may change then. -1: cancelled, or memory. */
int queue_list(struct queue *q, uint64_t *after, const struct queue_filter *filter,
    struct queue_row *row, uint32_t limit, uint32_t *count, struct err *e);

enum queue_rcpt_state {
    QUEUE_RCPT_QUEUED,
    QUEUE_RCPT_ACTIVE,
    QUEUE_RCPT_DEFERRED,
    QUEUE_RCPT_HELD,
    QUEUE_RCPT_DELIVERED,
    QUEUE_RCPT_FAILED,
    QUEUE_RCPT_REMOVED,
};

const char *queue_rcpt_state_name(enum queue_rcpt_state state);

struct queue_rcpt {
    struct str address;
    enum queue_rcpt_state state;
    struct str route; /* "local", a destination; empty where it is not yet known */
    struct str site;  /* its hosts, where known */
    unsigned attempts;
    int64_t next_ms; /* wall clock; 0: none is set */
    struct {         /* zero where there was no attempt; after a restart time and code alone */
        int64_t time_ms;
        struct str host;
        uint16_t code;
        struct err_status enhanced;
        struct str text;
    } last;
    struct str why; /* it waits and until when, in words; empty where it is done or under way */
};

struct queue_detail {
    struct queue_row row;
    struct str from;
    struct queue_rcpt *rcpt; /* the first row.rcpts or `limit` */
    uint32_t rcpts;
};

/* All in the arena. -1, permanent: there is no such message. Suspends. */
int queue_show(struct queue *q, struct arena *a, uint64_t id, uint32_t limit,
    struct queue_detail *detail, struct err *e);

/* Each suspends and says how many messages it did something with; what is on its way at this moment
 * is held or removed when its transaction has ended. Removal is journaled before it returns. */
int queue_retry(struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e);
int queue_hold(struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e);
int queue_release(
    struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e);
int queue_remove(
    struct queue *q, const struct queue_filter *filter, uint64_t *count, struct err *e);
/* Held until an operator releases it, because of `why` (a literal). -1: no such message. */
int queue_quarantine(struct queue *q, uint64_t id, const char *why, struct err *e);
bool queue_in_quarantine(const struct spool_found *f);

struct queue_site {
    struct str name; /* in the arena, as is all text here */
    uint64_t queued, connections, limit;
    uint64_t back_off_ms; /* until the next try, from now; 0: none */
    struct str error;     /* the last one, empty where it works */
    int64_t error_ms;     /* wall clock */
    uint64_t delivered;
};

/* Most mail waiting first, at most `limit`. Never suspends. */
int queue_sites(struct queue *q, struct arena *a, uint32_t limit, struct queue_site **site,
    uint32_t *count, struct err *e);

/* ---- asking a next hop about a recipient */

/* Would the hosts of that route take mail for this address? 0: yes; -1: *verdict says what they
 * said (permanent: no) or why they could not be asked (temporary). Suspends, at most 20 s. */
int queue_probe(
    struct queue *q, const struct route *route, struct str address, struct err *verdict);
