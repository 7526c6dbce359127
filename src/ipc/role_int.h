/* ipc/role_int.h: how master/role_main.c makes a struct role. */
#pragma once

#include "ipc/channel.h"
#include "ipc/role.h"

/* Takes fd, the channel to master. Suspends until all has come that a role begins with. The process
 * ends by itself when master goes. */
int role_receive(struct role *r, int fd, struct err *e);

/* Tells master why this process cannot go on. */
void role_failed(struct role *r, const struct err *why);
