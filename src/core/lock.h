/* core/lock.h: DATA/lock, which says who may touch the data directory.
 *
 * Held by a running server's core, or by a command that works on the data directory without one.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include "io/sys.h"

/* Suspends (in a fiber) while somebody else holds it, up to wait_ms: the one before may just be
 * ending. *handle is closed by lock_release(), or with the process. */
int lock_take(const struct sys *sys, struct str data, uint64_t wait_ms, int *handle, struct err *e);
void lock_release(const struct sys *sys, int *handle);
