/* core/spool/writer.h: the thread that writes the log.
 *
 * The loop hands over batches and, ahead of time, the segment to go on with; the thread takes all
 * batches that wait (up to the group's cap), writes and syncs them as one group and gives them
 * back, waking the loop once. What fails is given back only when the log has gone on in a new
 * segment, whose first record says that the failed group is none of it, or cannot go on. Changes
 * that nobody waits for are never given back as failed: they are written as soon as the storage
 * works again.
 */
#pragma once

#include <pthread.h>

#include "core/spool/log.h"

struct writer {
    struct log *log; /* the thread's, from writer_run() until it has ended */
    uint64_t group_max;
    struct pool *pool;
    struct wakeup *wakeup;
    bool running; /* the loop's */
    void (*on_news)(void *arg);
    void *arg;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t work;
    struct list incoming, failed, done;
    unsigned waited; /* batches in incoming that somebody waits for */
    bool have_spare, stop, mark;
    struct log_segment spare;
    int spare_error; /* there will be no spare for now: 0 or -errno */
    struct writer_news {
        int down;    /* the log cannot go on: 0 or -errno */
        bool rolled; /* at most once between two spares */
        int roll_error;
        uint64_t number, end_before; /* of the roll */
        bool sealed;                 /* after a failure, at most once between two spares */
        uint64_t sealed_number;
        struct log_position position;
        uint64_t groups, failed_groups, syncs, written;
    } news;
};

/* on_news(arg) is called on the loop's thread when there is something to collect, and when the
 * thread has ended. */
int writer_open(struct writer *w, struct log *log, uint64_t group_max, void (*on_news)(void *arg),
    void *arg, struct err *e);
int writer_run(struct writer *w, struct err *e); /* starts the thread */
/* The thread ends; what it had not yet begun to write is then given back by writer_collect(). */
void writer_stop(struct writer *w);
void writer_done(struct writer *w); /* of one that was opened, or never was */

void writer_push(struct writer *w, struct list *batches);
void writer_supply(struct writer *w, const struct log_segment *spare, int error);
void writer_mark(struct writer *w); /* if it has been idle since the last group */
void writer_collect(struct writer *w, struct list *done, struct writer_news *news);
