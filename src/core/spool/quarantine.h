/* core/spool/quarantine.h: the files below quarantine/: copies of what was damaged, and what was
 * set aside whole. Blocks.
 */
#pragma once

#include "base/err.h"

#include "io/sys.h"

enum {
    ASIDE_NAME = 96,
};

struct aside {
    char name[ASIDE_NAME];
    uint64_t size;
    int64_t mtime_ns;
};

/* Calls fn for each, until its result is negative. path: the spool's directory. */
typedef int aside_fn(void *arg, const struct aside *a);
int quarantine_list(const struct sys *sys, const char *path, aside_fn *fn, void *arg);

/* -ENOENT where there is none of this name, or it is no name. */
int quarantine_find(const struct sys *sys, const char *path, const char *name, struct aside *a);
int quarantine_remove(const struct sys *sys, const char *path, const char *name);
