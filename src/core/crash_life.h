/* core/crash_life.h: the whole core over a disk in memory, and a model of what it has promised; for
 * crash_test.c.
 *
 * A life is a core from its opening to its end: spool, recovery, queue, mailboxes, directory,
 * history and the channel of an inbound, all on one simulated disk. The model is kept while it
 * works: what was acknowledged, which UIDs and MODSEQs a reader has seen. In a fiber.
 */
#pragma once

#include "io/fake_disk.h"

#include "ipc/channel.h"

#include "core/core.h"

enum {
    CRASH_MAIL = 32, /* messages of a run */
    CRASH_BOXES = 2, /* accounts that get mail: alice, bob */
    CRASH_NEW = 16,  /* accounts that are made while it runs */
    CRASH_LARGE = 70000,
};

enum crash_state {
    CRASH_NEVER,
    CRASH_MAYBE, /* it has begun: it may be there or not, but whole */
    CRASH_DONE,  /* it was answered */
};

struct crash_mail {
    enum crash_state state;
    uint64_t id; /* the spool's */
    size_t size;
    bool to[CRASH_BOXES], kept; /* kept: it was delivered, and the spool knows */
    uint32_t uid[CRASH_BOXES];  /* as a reader has seen it; 0: none has */
    bool final[CRASH_BOXES];    /* it was kept when that was seen: that is its UID for good */
    uint64_t modseq[CRASH_BOXES];
};

struct crash_model {
    struct crash_mail mail[CRASH_MAIL];
    uint32_t count;
    enum crash_state account[CRASH_NEW];
    uint32_t accounts;
    uint32_t uid_next[CRASH_BOXES], uid_validity[CRASH_BOXES]; /* as seen */
    uint64_t modseq[CRASH_BOXES];
};

struct crash_life {
    struct crash_model *model;
    struct core core;
    struct channel *channel;
    uint64_t lease;
    uint32_t next;
    char why[256]; /* what is wrong; "" as long as nothing is */
};

/* An empty disk with a directory of two accounts, and an alias for both. */
struct fake_disk *crash_first_disk(void);

/* 0, or -1 with why. A life that failed to start needs no end. */
int crash_start(struct crash_life *l, struct fake_disk *disk, struct crash_model *model);
void crash_end(struct crash_life *l);

/* One operation, by its letter:
 *   a  a small message to alice    b  to both             m  20 KB to bob   l  70 KB to both
 *   g  three at the same time      r  a reader looks      c  logs of mailboxes are checkpointed
 *   i  all is delivered, and the spool has forgotten it   n  a new account
 * 0, or -1 with why. */
int crash_do(struct crash_life *l, char operation);

/* All that was acknowledged is in its mailboxes once, after what still waits has been delivered;
 * what a reader has seen means the same; then the model is what was found. -1 with why. */
int crash_check(struct crash_life *l);
