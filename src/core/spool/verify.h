/* core/spool/verify.h: is it all there? For operators.
 *
 * Reads what is alive from the disk and compares all checksums, whatever the cache holds. Calls are
 * made on the loop's thread, as those of spool.h.
 */
#pragma once

#include "core/spool/spool.h"

/* What is alive, in no order: *place is 0 at first. False: there is no more. */
bool spool_next(const struct spool *s, uint32_t *place, struct spool_found *f);

struct spool_bad {
    uint64_t id; /* of a message that is alive */
    char file[32];
    uint64_t segment, from, to;
};

struct spool_verify {
    uint32_t place; /* where the next call goes on */
    bool done;
    uint64_t messages, octets; /* read so far */
};

/* Goes on behind v->place (at first all of v is zero) for a bounded number of messages, and says
 * which are damaged, at most max of them; each is reported and set aside as by spool_read().
 * Suspends. */
int spool_verify(struct spool *s, struct spool_verify *v, struct spool_bad *bad, uint32_t max,
    uint32_t *count, struct err *e);

/* Copies all of a message's octets, whole or not, to quarantine/; name says where (of content in a
 * file of its own, that file is copied too). 0, or -1. Suspends. */
int spool_set_aside(struct spool *s, uint64_t id, char name[96], struct err *e);

/* One message: 0: intact (now, if it was taken for damaged before); 1: damaged, *bad says where;
 * -1. Suspends. */
int spool_check(struct spool *s, uint64_t id, struct spool_bad *bad, struct err *e);
