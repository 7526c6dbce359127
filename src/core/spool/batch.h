/* core/spool/batch.h: what one commit wants written, and what it means for the index.
 *
 * batch_prepare() and batch_apply() belong to the loop's thread; between them the batch belongs to
 * the writer, which reads it and fills in where it went. Nothing can fail for want of memory once
 * batch_prepare() has returned 0.
 */
#pragma once

#include "run/fiber.h"

#include "core/spool/index.h"
#include "core/spool/record.h"

/* A message on its way to another segment. Changes that are handed in meanwhile are written behind
 * its copy, and must name the segment where the copy lies: they look here. */
struct spool_move {
    struct list link; /* in index.moves, until it is known how it ended */
    struct entry *entry;
    struct segment *from, *to; /* to: where it lies now; NULL: not there */
    uint64_t landed;           /* the writer's: number of the segment that holds the copy, or 0 */
    uint32_t changes;          /* handed in since, not yet durable */
    uint32_t refs;
    struct record_copy record;
    struct spool_rcpt *rcpt; /* as they were when it was handed in */
    uint64_t at;             /* of the copy's commit record */
};

/* Nothing else is worth a record. */
static inline bool rcpt_known(const struct spool_rcpt *r)
{
    return r->state || r->attempts || r->status || r->when;
}

struct change {
    struct spool_change c;
    struct segment *segment; /* of the message, when this was handed in */
    struct entry *entry;
    struct spool_move *move; /* it was on its way then; or NULL */
};

struct spool_batch {
    struct list link;
    struct spool_message **messages;
    struct entry **entries;
    struct change *changes;
    uint32_t n, count, changes_cap;
    enum spool_class class;
    bool waited;           /* somebody waits, or did: not to be put off, and told if it fails */
    bool abandoned;        /* the waiter has given up; the loop's */
    bool finished;         /* the loop's */
    struct segment *about; /* a STATE record, and nothing else: body holds the live messages */
    struct str body;
    char *body_memory;
    uint32_t alive;
    struct spool_move *move; /* a MOVED record and the states of its recipients, and nothing else */
    struct list lazy;        /* of those that nobody waits for, in order, until they are durable */
    uint64_t lazy_number;    /* among them */
    uint64_t octets;         /* of the log that it takes */
    uint64_t segment;        /* where it went, filled in by the writer */
    int error;               /* 0 or -errno */
    struct cond done;
};

/* An empty batch for up to n messages. NULL without memory. */
struct spool_batch *batch_new(uint32_t n);
void batch_free(struct spool_batch *b); /* not its messages */

/* Check ids and counts against the index, reserve entries. All or nothing. */
int batch_add_messages(struct spool_batch *b, struct index *x, struct spool_message *const *m,
    uint32_t n, struct err *e);
int batch_add_changes(struct spool_batch *b, struct index *x, const struct spool_change *c,
    uint32_t count, struct err *e);
/* A STATE record about s, about which nothing may be in flight. NULL without memory. */
struct spool_batch *batch_state(struct index *x, struct segment *s);

/* Its copy; r->memory is taken over. Nothing about n may be in flight. NULL without memory. */
struct spool_batch *batch_move(struct index *x, struct entry *n, struct record_copy *r);
bool batch_may_move(struct entry *n);
/* Records that follow the copy: recipients about which something is known. */
uint32_t move_outcomes(const struct spool_move *m);

/* The batch is in the log: entries come to life, states change, ended messages go. ended(arg, n) is
 * called before an entry is removed. */
void batch_apply(
    struct spool_batch *b, struct index *x, void (*ended)(void *arg, struct entry *n), void *arg);
/* It is not, and never will be. */
void batch_revert(struct spool_batch *b, struct index *x);
