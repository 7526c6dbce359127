/* base/buf.h: the one growing buffer, born with a ceiling.
 *
 * A buffer that cannot grow (its ceiling or memory) turns bad: the failing call and all later ones
 * return -1 and change nothing, so a writer may check once at the end with buf_ok().
 * Data is consumed at the front without moving until there is reason to. Owner: who called
 * buf_init(); buf_done() gives the memory back, also of a bad one.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/str.h"

struct buf {
    char *p;      /* start of the allocation */
    size_t start; /* first octet not consumed */
    size_t end;   /* one past the last octet written */
    size_t cap, max;
    bool bad;
};

/* An empty buffer that holds at most max octets at a time. Allocates nothing. */
static inline void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b);

/* Everything in it, valid until the next call that writes. */
static inline struct str buf_str(const struct buf *b)
{
    return str_of(b->p ? b->p + b->start : NULL, b->end - b->start);
}

static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

static inline bool buf_ok(const struct buf *b)
{
    return !b->bad;
}

/* Empties it and makes it good again; keeps the allocation. */
void buf_clear(struct buf *b);

/* Empties it and gives the allocation back. */
void buf_release(struct buf *b);

/* Drops n octets at the front (at most what is there). */
void buf_consume(struct buf *b, size_t n);

/* Cuts it to its first n octets (at most what is there). */
void buf_truncate(struct buf *b, size_t n);

/* Room for n more octets at the end: where to write them, or NULL. buf_advance() makes them part.
 */
char *buf_reserve(struct buf *b, size_t n);
void buf_advance(struct buf *b, size_t n);

int buf_put_slowly(struct buf *b, struct str s); /* where it has to grow, or cannot */

static inline int buf_put(struct buf *b, struct str s)
{
    if (b->bad || !b->p || s.n > b->cap - b->end || !s.n)
        return buf_put_slowly(b, s);
    memcpy(b->p + b->end, s.p, s.n);
    b->end += s.n;
    return 0;
}

static inline int buf_put_c(struct buf *b, char c)
{
    return buf_put(b, str_of(&c, 1));
}

int buf_put_u64(struct buf *b, uint64_t value);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
