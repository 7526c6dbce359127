/* core/spool/fake_life.h: the spool without threads over a disk in memory, and a model of what it
 * must keep; for tests.
 *
 * A life is a store from its opening to its end. Each operation is written as one group and, where
 * that returned without error, is promised: the model then knows it. The operation that was under
 * way when the power went is unknown, and may be there or not, but whole.
 */
#pragma once

#include "io/fake_disk.h"

#include "core/spool/store.h"

enum {
    MODEL_IDS = 64,
};

enum model_state {
    MODEL_NEVER,
    MODEL_ALIVE,
    MODEL_ENDED,
    MODEL_MAYBE_ALIVE, /* its commit was under way */
    MODEL_MAYBE_ENDED, /* its end was */
};

struct model {
    enum model_state state[MODEL_IDS];
    struct spool_rcpt rcpt[MODEL_IDS], maybe[MODEL_IDS]; /* of recipient 0; the newer one unknown */
    uint64_t bounced_by[MODEL_IDS];                      /* the DSN that its end came with */
    uint64_t next;
};

struct life {
    struct fake_disk *disk;
    struct store store;
    struct recovery recovery;
    struct model *model;
    uint64_t damaged;
    uint64_t segment; /* octets; 0: small */
    bool open, allow_damage;
    struct err why; /* it could not be opened */
};

/* Opens, and rolls to a first segment. A failure leaves the life closed. */
int life_start(struct life *l, struct fake_disk *disk, struct model *model);
void life_end(struct life *l);

/* One operation, by its letter:
 *   a  a small message         g  three messages in a group     m  several frames (see segment)
 *   d  end of the oldest       o  outcome of the oldest         b  its end with a DSN, one batch
 *   r  a new segment           c  a checkpoint                  s  STATE records about all
 *   f  release what may go     k  a mark                        l  large content
 *   p  compaction of the oldest segment that has live messages and is not the current one
 *   q  the same, interrupted after its first message
 *   e  the oldest is moved, a new segment, and its end, handed in before the first was done
 *   u  the same with its outcome
 *   x  end of the newest
 * 0, or -errno: the life is over. */
int life_do(struct life *l, char operation);
int life_run(struct life *l, const char *operations);

/* life_check.c: what recovery found is what the model allows; fails the test where it is not. Then
 * the model is what was found: nothing is unknown any more. */
void life_check(struct life *l, const char *why);

/* The content of message id, octet for octet; p has room for its size. */
size_t model_size(uint64_t id);
struct str model_content(uint64_t id, char *p);
