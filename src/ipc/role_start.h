/* ipc/role_start.h: how the main() of a process in a role gets its struct role from master.
 *
 * For master/role_main.c alone; the rooms get the role handed in (ipc/role.h). The struct is filled
 * where it lies and must outlive the loop: what master says later changes it.
 */
#pragma once

#include "ipc/role.h"

/* Takes fd, the channel to master. Suspends until all has come that a role begins with. The process
 * ends by itself when master goes. */
int role_receive(struct role *r, int fd, struct err *e);

/* Tells master why this process cannot go on. */
void role_failed(struct role *r, const struct err *why);
