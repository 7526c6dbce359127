/* core/offline.h: the operations of the command line on a data directory that no server works on.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include "ipc/config.h"

struct offline;

/* Takes the lock; fails where a server runs, and for a copy (core/place.h) unless that is adopted
 * now. Both suspend. */
int offline_open(struct offline **o, const struct config *config, bool adopt, struct err *e);
void offline_close(struct offline **o); /* NULL is allowed */

/* One request of ipc/control.h; its reply, outcome first, is appended. Suspends. */
int offline_control(struct offline *o, struct str request, struct buf *reply, struct err *e);
