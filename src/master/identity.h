/* master/identity.h: as which user the program works (SURFACE.md, Life).
 *
 * The row `user`, else the owner of the data directory. Started as root, a process becomes that
 * user before it touches anything; started as anybody else it stays who it is.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

#include "ipc/config.h"

struct identity {
    bool change; /* we are root and shall be somebody else */
    uid_t uid;
    gid_t gid;
    char name[64]; /* empty where the user has none */
};

int identity_find(const struct config *config, struct identity *id, struct err *e);

/* For commands: becomes that user, with no rights left over. */
int identity_become(const struct config *config, struct err *e);

/* For master: the same, but keeps the right to bind low ports and to read any file, and bounds what
 * its children could ever get to that. */
int identity_become_master(const struct identity *id, struct err *e);
