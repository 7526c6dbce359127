/* core/crash/walk.h: one workload: the power is cut at each boundary of its last operation, and
 * what the disk may hold is recovered, compared, worked on, and cut again.
 *
 * Boundaries of the operations before are those of shorter workloads, so a walk over all workloads
 * of up to n operations sees each once.
 */
#pragma once

#include "core/crash/images.h"
#include "core/crash/lives.h"
#include "core/crash/shared.h"

enum {
    WORKLOAD_MAX = 12,
};

struct walk {
    struct shared *shared;
    char *where;    /* what is being tried, for the one who finds us dead; WHERE_MAX */
    unsigned depth; /* 2: recovery is cut as well; 3: and the recovery after that */
    bool misplaced; /* each image is damaged, by a sector that belongs elsewhere */
    bool faults;    /* the syncs of the last operation fail, too */
    uint64_t seed;
    const char *save; /* where a failing image goes */
    char workload[WORKLOAD_MAX + 1];
};

/* False: a violation was found, printed and saved. */
bool walk_workload(struct walk *w);

/* Tries a saved image again; what is wrong with it is printed. */
bool walk_replay(const char *path);
