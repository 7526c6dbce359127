/* ipc/recode.h: for tests and fuzzing: a message decoded and encoded again. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct recode_kind {
    const char *name;
    bool run; /* a sequence without a count: it may be cut between elements */
    int (*recode)(struct arena *a, struct str in, struct buf *out, struct err *e);
};
