/* core/sql/vfs.h: SQLite's way to the system, over the table in io/sys.h.
 *
 * When SQLite is configured its own ways (unix and its like) are taken from it, so that a database
 * cannot be opened but through the table: on a simulated disk where a test hands one in. A file is
 * locked whole from its opening to its end, against the sqlite3 program too, so there is one
 * connection a database, in exclusive locking mode, and no shared memory: the log's index is on the
 * heap.
 *
 * The disk is not believed to keep a sector that was being written when the power failed
 * (SQLITE_IOCAP_POWERSAFE_OVERWRITE): a synced commit fills its last sector, so that no later write
 * touches it.
 */
#pragma once

#include <stdbool.h>

#include "io/sys.h"

/* Takes SQLite's own ways from it. Once, after sqlite3_initialize(). */
void vfs_take_over(void);

/* The name for sqlite3_open_v2(); NULL where there are too many tables or SQLite has no memory.
 * s lasts as long as the process. grouped: the sync of a commit is left out, and the log's sector
 * is filled all the same: the owner syncs it, for many commits at a time. The connection must have
 * synchronous=FULL and checkpoint_fullfsync=ON, by which other syncs are known: they take place. */
const char *vfs_name(const struct sys *s, bool grouped);
