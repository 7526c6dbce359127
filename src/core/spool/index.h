/* core/spool/index.h: what is alive in the spool, in memory: messages by id, and the segments.
 *
 * An entry is 56 octets (and 8 for each recipient beyond one), its share of the hash about 8 more.
 * Ids are our own counters, so the hash needs no key. Belongs to the loop's thread, or to recovery
 * before there is one.
 *
 * A segment may go when nothing in it is alive and nothing in it is needed: the record "message M
 * of segment A has ended" in segment B is needed as long as A is there, else M would come back. So
 * B remembers the segments about which it holds records (needs), and a STATE record about A frees
 * all earlier segments from A.
 */
#pragma once

#include "core/spool/spool.h"

enum segment_life {
    SEGMENT_FREE,  /* released, durably; in the free list */
    SEGMENT_SPARE, /* has the next number; not written yet */
    SEGMENT_CURRENT,
    SEGMENT_SEALED,
    SEGMENT_LEAVING, /* being released */
};

struct segment {
    uint64_t number, previous, serial, epoch, size; /* as in the newer header slot */
    uint64_t end;      /* of the last confirmed group; of a sealed one: of its records */
    uint64_t freed_at; /* the largest number when it was released */
    uint32_t file;     /* number in the file's name */
    uint32_t slot;     /* the header slot that counts: 0, 1 */
    enum segment_life life;
    uint32_t first; /* of its live messages: index + 1, or 0 */
    uint32_t live;
    uint64_t live_octets; /* of the file that they take, about */
    uint32_t in_flight;   /* changes about it, and moves out of it, that are not durable yet */
    bool replacing;       /* being compacted: stays until a record says that nothing in it counts */
    bool stuck;           /* holds what cannot be moved */
    bool pinned;          /* no memory to know what it is needed for: stays until the next start */
    uint64_t *needs;      /* ascending numbers of segments */
    uint32_t needs_count, needs_cap;
};

enum {
    ENTRY_USED = 1,
    ENTRY_ENDING = 2,  /* its end is on its way */
    ENTRY_DAMAGED = 4, /* failed a checksum, was reported */
    ENTRY_MARKED = 8,  /* while a STATE record is read */
    ENTRY_CACHED = 16,
    ENTRY_MOVING = 32, /* its copy is on its way */
};

enum {
    BUSY_MAX = UINT8_MAX, /* changes of an entry that can be counted */
};

struct entry {
    uint64_t id, content;
    struct segment *segment;
    uint32_t at; /* of the commit record, in FRAME_ALIGN octets */
    uint32_t prefix;
    uint32_t large;      /* file below large/, or 0 */
    uint32_t next, prev; /* in the segment: index + 1; next also in the free list */
    uint16_t rcpts;
    uint8_t flags;
    uint8_t busy; /* changes about it that are not durable yet; BUSY_MAX: once were too many */
    union {
        struct spool_rcpt one;
        struct spool_rcpt *many;
    };
};

struct index {
    struct entry **slabs;
    uint32_t slab_count, slab_cap, top; /* entries ever used */
    uint32_t free;                      /* index + 1 */
    uint32_t *slots;                    /* index + 1, or 0; linear probing */
    uint32_t slots_cap;
    uint32_t taken, count;     /* ids, and those of them that are inserted */
    uint64_t octets;           /* content alive */
    struct segment **segments; /* numbered ones, ascending */
    uint32_t segment_count, segment_cap;
    struct list moves; /* of spool_move: those that are on their way, a few */
};

void index_init(struct index *x);
void index_done(struct index *x); /* with its segments */

/* An entry and all that inserting it will need; index_insert() then cannot fail. The id is taken
 * from now on. -ENOMEM, or -EEXIST where it was taken before. */
int index_reserve(struct index *x, uint64_t id, uint32_t rcpts, struct entry **n);
void index_cancel(struct index *x, struct entry *n);
void index_insert(struct index *x, struct entry *n, struct segment *s);
struct entry *index_find(const struct index *x, uint64_t id); /* inserted ones */
void index_remove(struct index *x, struct entry *n);
void index_move(struct index *x, struct entry *n, struct segment *to);

/* The i-th place: an entry, or NULL where none is used. For i below x->top. Stable under changes.
 */
struct entry *index_at(const struct index *x, uint32_t i);
/* Visits the live messages of s: start with i = s->first. */
struct entry *index_next(const struct index *x, uint32_t *i);

static inline struct spool_rcpt *entry_rcpts(struct entry *n)
{
    return n->rcpts == 1 ? &n->one : n->many;
}

void entry_found(struct entry *n, struct spool_found *f);

struct segment *segment_new(void);
void segment_free(struct segment *s);
/* s->number must be set and new. -1 without memory. */
int index_add_segment(struct index *x, struct segment *s);
struct segment *index_segment(const struct index *x, uint64_t number);
void index_take_segment(struct index *x, struct segment *s); /* no longer numbered; not freed */

/* s holds a record about the segment `number`. */
void segment_needs(struct segment *s, uint64_t number);
/* Nobody before `below` holds a record about `number` that is needed. */
void index_unneed(struct index *x, uint64_t number, uint64_t below);

static inline bool segment_may_go(const struct segment *s)
{
    return s->life == SEGMENT_SEALED && !s->live && !s->needs_count && !s->pinned &&
           !s->in_flight && !s->replacing;
}
