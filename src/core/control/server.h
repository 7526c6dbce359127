/* core/control/server.h: the control socket, RUNTIME/control.
 *
 * Made by master, served here. Who connects must be root or run as the user that we run as; others
 * are closed at once and logged. A bounded number of connections, one request at a time on each.
 */
#pragma once

#include "base/err.h"

struct core;
struct control_server;

/* Takes the listening descriptor. */
int control_server_open(struct control_server **s, struct core *core, int fd, struct err *e);
/* Suspends until requests that run have been answered. */
void control_server_close(struct control_server **s);
