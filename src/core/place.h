/* core/place.h: whether a data directory is where its mail was accepted, or a copy.
 *
 * Two servers on copies of one spool deliver the same mail twice, and no lock can tell them apart.
 * So DATA/place names the machine, the path and the inode of the directory. A directory that was
 * moved on its machine, or restored at its place, just works and gets a new stamp; a copy whose
 * original is still there, and one that comes from another machine, is refused until an operator
 * says that it is to be used: `veredus spool adopt`. A stamp that is missing or damaged is made
 * anew. What cannot be told: a copy whose original stands on another machine with the same
 * machine-id, or has been moved away.
 *
 * Blocks; called with DATA/lock held, before the walls.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include "io/sys.h"

int place_check(const struct sys *sys, struct str data, struct err *e);
/* From now on this is the one. */
int place_adopt(const struct sys *sys, struct str data, struct err *e);
