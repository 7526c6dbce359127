/* master/identity.h: as which user the program works (SURFACE.md, Life).
 *
 * The row `user`, else the owner of the data directory. Started as root, a process becomes that
 * user before it touches anything; started as anybody else it stays who it is.
 *
 * Where it was started as root, a process in a role becomes the user of its role (veredus-inbound,
 * veredus-outbound, veredus-resolver), each where there is such a user. core stays who master is:
 * the owner of the data directory.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

#include "ipc/config.h"
#include "ipc/role.h"

struct identity {
    bool change; /* we are root and shall be somebody else */
    uid_t uid;
    gid_t gid;
    char name[64]; /* empty where the user has none */
};

int identity_find(const struct config *config, struct identity *id, struct err *e);

/* For commands: becomes that user, with no rights left over. */
int identity_become(const struct config *config, struct err *e);

/* Finds the users of all roles, or none where `lookup` is NULL. own: of master. False where there
 * is a user for core that is not master's, and so has no use. */
typedef bool identity_lookup(const char *name, struct identity *id);
bool identity_find_roles(
    const struct identity *own, identity_lookup *lookup, struct identity roles[ROLE_KINDS]);
identity_lookup identity_lookup_system; /* in the system's user database */

/* For master: becomes its user, but keeps the right to bind low ports and to read any file, where a
 * role has a user of its own also to become that one and to end it, and bounds what its children
 * could ever get to the first two. */
int identity_become_master(
    const struct identity *id, const struct identity roles[ROLE_KINDS], struct err *e);

/* For a child of master's before it executes anything: one user, one group. -1 with errno. */
int identity_become_role(const struct identity *id);
