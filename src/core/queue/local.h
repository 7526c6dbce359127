/* core/queue/local.h: delivering a batch of messages into mailboxes.
 *
 * Reads each message's envelope, prefix, digest and content from the spool and gives all recipients
 * that are local and not done to mailbox_deliver() at once. What came of it is for the caller, who
 * tells the spool. Suspends.
 */
#pragma once

#include "core/mailbox/mailbox.h"
#include "core/queue/queue_int.h"

enum {
    LOCAL_BATCH_MAX = 128,
    LOCAL_OCTETS_MAX = 4 << 20, /* of content held at a time; larger mail is read in pieces */
};

struct local_message {
    uint32_t delivery; /* in our hands */
    uint32_t message;
    uint64_t id;
    struct local_batch *batch;
    struct buf envelope_text, prefix, digest, content;
    struct envelope envelope;
    struct spool_found found;
    struct mail_content shared;
    struct delivery *rcpt; /* one a recipient that is tried */
    uint32_t rcpts, held;  /* held: recipients that a rule keeps */
    bool failed;           /* it could not be read: why */
    struct err why;
};

struct local_batch {
    struct queue *q;
    struct arena arena;
    uint32_t count;
    struct local_message v[LOCAL_BATCH_MAX];
};

struct local_batch *local_batch_new(struct queue *q);
void local_batch_free(struct local_batch *b);
void local_deliver(struct local_batch *b);
