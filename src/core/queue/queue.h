/* core/queue/queue.h: what is left to do for the messages in the spool, and doing it.
 *
 * A message is here from the moment it is durable (or was found at start) until its last recipient
 * is done. Local recipients are delivered in batches by a few fibers: envelope and content come
 * from the spool (fresh ones from its cache), mailboxes take them in one transaction an account
 * with one sync for all, then the spool is told; a crash in between delivers nothing twice, for
 * mailboxes key what they have by (id, recipient). A mailbox that fails is tried again by the
 * schedule of queue { retry }. With queue { hold = yes } nothing is delivered. The queue keeps an
 * id and a few octets a message, never an envelope.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"

#include "run/fiber.h"

#include "ipc/config.h"

#include "core/spool/spool.h"

struct mailboxes;
struct queue;

struct queue_stats {
    uint64_t messages, waiting, deferred, held; /* now: all of them, and in which state */
    uint64_t delivered, duplicates, failures;   /* recipients since start */
};

enum queue_state {
    QUEUE_QUEUED,
    QUEUE_ACTIVE, /* being delivered at this moment */
    QUEUE_DEFERRED,
    QUEUE_HELD,
};

struct queue_row {
    uint64_t id, number;
    enum queue_state state;
    bool elsewhere;  /* what is left is not for mailboxes here */
    uint64_t due_ms; /* QUEUE_DEFERRED: from now */
};

/* config may be exchanged by queue_reconfigure(). */
int queue_open(struct queue **q, const struct config *config, struct mailboxes *mailboxes,
    const struct event *event, struct err *e);
/* The deliveries begin; found messages may have come before. */
int queue_start(struct queue *q, struct spool *spool, struct err *e);
void queue_reconfigure(struct queue *q, const struct config *config);

/* Suspends until the deliveries that run have ended; those that wait stay in the spool. */
void queue_close(struct queue **q);

/* spool's on_live. Never suspends; -1 without memory. */
int queue_add(struct queue *q, const struct spool_found *found);

/* What is deferred is tried again at once: the reason has gone. */
void queue_retry_now(struct queue *q);

/* Suspends until nothing waits for delivery (what is deferred or held does not count). */
int queue_wait_idle(struct queue *q, struct err *e);

void queue_stats(const struct queue *q, struct queue_stats *stats);

/* Up to `limit` messages in the order of arrival, behind the one numbered *after (0: from the
 * first). *after is moved on; 0 when there are no more. Never suspends; a page behind the one
 * before costs what it holds. */
uint32_t queue_list(struct queue *q, uint64_t *after, struct queue_row *row, uint32_t limit);
