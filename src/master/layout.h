/* master/layout.h: the directories of a server, made where they are missing (DESIGN.md 5). */
#pragma once

#include "ipc/config.h"

#include "master/identity.h"

/* As root, before identity_become_master(): DATA and RUNTIME, which may lie where only root can
 * make a directory; they are given to the user. */
int layout_make_roots(const struct config *config, const struct identity *id, struct err *e);

/* As the user: what stands below DATA, and that it can be written. */
int layout_make(const struct config *config, struct err *e);
