/* core/crash/shared.h: what the processes of an enumeration share: counts, which images were seen,
 * the next piece of work, and where each one is, should it die.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    SEEN_MAX = 1 << 25, /* hashes; touched as they come */
    WORKERS_MAX = 16,
    WHERE_MAX = 1600,
};

struct shared {
    _Atomic uint64_t images, distinct, nested, damaged, faults, workloads, next;
    _Atomic bool stop, violated;
    char where[WORKERS_MAX][WHERE_MAX];
    _Atomic uint64_t seen[SEEN_MAX];
};

struct shared *shared_new(void);

/* Nobody has seen it before, in any of the processes. */
bool shared_is_new(struct shared *s, uint64_t hash);
