/* cmd/demo_mx.h: another host's mail server, for `veredus demo`.
 *
 * A process of its own with one script: as greylisting hosts do, the first delivery to a recipient
 * is told to come again, the next one is taken. What it hears and says it writes down, for the demo
 * to show.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"

struct demo_mx {
    unsigned port;
    pid_t pid;
    int said; /* the end of a pipe: its side of the conversations, line by line */
};

/* Listens on the first free port of 127.0.0.1 from mx->port on, which it then names. */
int demo_mx_start(struct demo_mx *mx, struct err *e);

/* Prints what it says until it has taken a message; -1 if that does not happen in time, or it ends.
 */
int demo_mx_show(struct demo_mx *mx, struct err *e);

/* May be called for one that did not start. */
void demo_mx_stop(struct demo_mx *mx);
