/* master/process.h: one place for a process of a generation: who fills it, and its channel.
 *
 * A place is filled again when its process dies, until its generation is told to drain. All calls
 * are made in master's loop; those that say so suspend.
 */
#pragma once

#include "base/list.h"

#include "ipc/channel.h"
#include "ipc/role.h"

#include "master/log_pipe.h"

struct master;

struct process {
    struct list link; /* of master's processes */
    struct master *master;
    enum role_kind kind;
    enum role_class class;
    uint16_t index, count;
    uint32_t generation;

    pid_t pid;       /* 0: nobody */
    uint32_t number; /* of the one who fills it now */
    uint32_t restarts;
    uint64_t started_at;         /* run_now() */
    uint64_t pause_ms;           /* before the next start but one */
    uint64_t due_at;             /* of the next start, run_now() */
    uint32_t linked[ROLE_KINDS]; /* numbers of those whom it asks, by links.c */
    bool relinking[ROLE_KINDS];  /* a channel of it is made anew in a moment */
    struct channel *channel;
    int page; /* memory that it shares with us: its note (ipc/note.h); -1: none */
    bool ready;
    bool served;      /* somebody was ready here once */
    bool crashed;     /* the last one ended by a signal */
    bool draining;    /* is not filled again */
    unsigned busy;    /* fibers that work with it: not to be freed */
    uint64_t stop_at; /* when it must have ended, run_now(); DEADLINE_NONE */
    bool killed;      /* by us: its death is no news */
    struct err why;   /* what it said before it ended */
};

/* NULL without memory. Its generation is master's. */
struct process *process_new(
    struct master *m, enum role_kind kind, enum role_class class, uint16_t index, uint16_t count);
void process_free(struct process *p); /* nobody fills it */

/* Forks and executes, opens its channel. on_frame and on_closed of master/control.c hear it. */
int process_spawn(struct process *p, struct scope *scope, struct log_sink *sink, struct err *e);
/* Sends all that a role begins with. Suspends. */
int process_send_start(
    struct process *p, const struct config *config, int control_fd, struct err *e);
/* The configuration in parts. Suspends. */
int process_send_config(struct process *p, const struct config *config, struct err *e);
/* A channel between both. Who does not take it is killed. Suspends. */
void process_connect(struct process *a, struct process *b);

/* Never suspend. */
void process_stop(struct process *p, uint64_t grace_ms);
void process_kill(struct process *p);

/* Waits for the end of its process without blocking: true when it has ended, and says so in the
 * log. */
bool process_reap(struct process *p);
