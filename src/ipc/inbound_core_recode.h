/* ipc/inbound_core_recode.h: for tests and fuzzing: every message of ipc/inbound_core.h decoded and
 * encoded again. */
#pragma once

#include "ipc/inbound_core.h"

struct ic_kind {
    const char *name;
    bool run; /* a sequence without a count: it may be cut between elements */
    int (*recode)(struct arena *a, struct str in, struct buf *out, struct err *e);
};

extern const struct ic_kind ic_kinds[];
extern const size_t ic_kind_count;
