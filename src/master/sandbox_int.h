/* master/sandbox_int.h: the two walls of sandbox_close(), a file each. */
#pragma once

#include "master/profile.h"
#include "master/sandbox.h"

/* *abi is 0 where the kernel has none. Paths of the profile lie below the data directory. */
int landlock_enter(
    const struct profile *profile, const struct config *config, int *abi, struct err *e);

/* -1 where the kernel has none (errno in e->os) or the filter cannot be made. */
int seccomp_enter(const struct profile *profile, struct err *e);
