/* master/log_pipe.h: what the other processes write to their standard error, passed on to ours.
 *
 * Each has a pipe of its own that never blocks it: what does not fit it drops and counts
 * (base/log.h). Whole lines are passed on, so that lines of several processes never mix.
 */
#pragma once

#include "run/fiber.h"

/* Where the lines go. One for all pipes. */
struct log_sink {
    int fd;
    bool busy;
    struct cond free;
};

/* Standard error, opened anew where it is a pipe, so that a reader who is slow stops nobody. To be
 * called before the user is changed. */
void log_sink_open(struct log_sink *s);

/* Makes a pipe and leaves its writing end in *end, for the child. A fiber of the scope passes on
 * what is written until all writers have gone. */
int log_pipe_open(struct scope *scope, struct log_sink *sink, int *end, struct err *e);
