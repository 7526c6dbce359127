/* core/spool/batch.h: what one commit wants written, and what it means for the index.
 *
 * batch_prepare() and batch_apply() belong to the loop's thread; between them the batch belongs to
 * the writer, which reads it and fills in where it went. Nothing can fail for want of memory once
 * batch_prepare() has returned 0.
 */
#pragma once

#include "run/fiber.h"

#include "core/spool/index.h"

struct change {
    struct spool_change c;
    struct segment *segment; /* of the message */
    struct entry *entry;
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
    struct list lazy;     /* of those that nobody waits for, in order, until they are durable */
    uint64_t lazy_number; /* among them */
    uint64_t octets;      /* of the log that it takes */
    uint64_t segment; /* where it went, filled in by the writer */
    int error;        /* 0 or -errno */
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

/* The batch is in the log: entries come to life, states change, ended messages go. ended(arg, n) is
 * called before an entry is removed. */
void batch_apply(
    struct spool_batch *b, struct index *x, void (*ended)(void *arg, struct entry *n), void *arg);
/* It is not, and never will be. */
void batch_revert(struct spool_batch *b, struct index *x);
