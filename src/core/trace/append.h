/* core/trace/append.h: the writing end of the history, and what is kept of it.
 *
 * Blocks; each of the two is used by one thread at a time, beside each other.
 */
#pragma once

#include "core/trace/segment.h"

struct append {
    const struct sys *sys;
    const char *dir;
    uint64_t segment_max;
    int64_t segment_ms; /* age at which a segment is full */
    struct segment now; /* h is -1 where there is none yet */
    uint64_t last;      /* number of the newest segment that was seen */
    struct buf out;
    uint32_t waiting; /* events in out */

    uint64_t written, lost, damaged;
    int error; /* of the last write: 0 or -errno */
};

void append_init(struct append *a, const struct sys *sys, const char *dir);
/* Events one after the other, each with its length u16 in front. The first call goes on with the
 * last segment of an earlier life, cut behind its last whole event. */
void append_events(struct append *a, struct str events);
void append_done(struct append *a);

/* Makes the indexes that are missing and removes the oldest segments. */
struct keep {
    const struct sys *sys;
    const char *dir;
    uint64_t writing; /* number of the segment that is being written: left alone */
    uint64_t size, keep_ms;
    uint64_t segments, octets, damaged; /* what there is now; damaged: found by these indexes */
};
void keep_in_order(struct keep *k);
