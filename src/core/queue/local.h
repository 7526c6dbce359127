/* core/queue/local.h: delivering a batch of messages into mailboxes.
 *
 * Reads each message's envelope, prefix, digest and content from the spool, gives all that are
 * local to mailbox_deliver() at once, then tells the spool what is done: a message whose recipients
 * are all done ends, of others each recipient's outcome is recorded. Recipients that the spool
 * knows to be done are left out. Suspends.
 */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/log.h"

struct spool;
struct mailboxes;
struct trace;

enum {
    LOCAL_BATCH_MAX = 128,
    LOCAL_OCTETS_MAX = 4 << 20, /* of content held at a time; larger mail is read in pieces */
};

enum local_result {
    LOCAL_DONE,     /* the message has ended */
    LOCAL_DEFERRED, /* a mailbox failed for now, or storage did */
    LOCAL_KEPT,     /* what is left is not for mailboxes here */
};

struct local_message {
    uint64_t id;
    void *owner; /* the caller's */
    enum local_result result;
};

struct local_batch {
    struct spool *spool;
    struct mailboxes *mailboxes;
    const struct event *event;
    struct trace *trace; /* NULL: no history */
    struct arena arena;
    struct local_message v[LOCAL_BATCH_MAX];
    uint32_t count;
    uint32_t delivered, duplicates, failures; /* recipients */
};

struct local_batch *local_batch_new(
    struct spool *spool, struct mailboxes *mailboxes, const struct event *event);
void local_batch_free(struct local_batch *b);
void local_deliver(struct local_batch *b);
