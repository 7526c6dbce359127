#include "core/spool/writer.h"

#include <errno.h>

#include "base/check.h"
#include "base/mem.h"

static struct spool_batch *batch_of(struct list *link)
{
    return LIST_ENTRY(link, struct spool_batch, link);
}

/* Somebody has to be told if it fails. */
static bool may_fail(const struct spool_batch *b)
{
    return b->waited || b->about || b->move;
}

static void move_all(struct list *from, struct list *to)
{
    struct list *link;

    while ((link = list_take(from)))
        list_add(to, link);
}

/* Gives back every batch that may fail, as failed. */
static void fail_waiting(struct writer *w, int error)
{
    move_all(&w->failed, &w->done);
    LIST_EACH(link, &w->incoming)
    {
        struct spool_batch *b = batch_of(link);

        if (!may_fail(b))
            continue;
        list_remove(link);
        b->error = error;
        list_add(&w->done, link);
    }
    w->waited = 0;
}

static bool needs_segment(const struct writer *w)
{
    if (!spool_log_writable(w->log))
        return true;
    return !list_empty(&w->incoming) && batch_of(w->incoming.next)->octets > spool_log_room(w->log);
}

/* New mail must leave room for what the reserve is for: it takes the second half of a segment only
 * when there is another one to go on with. */
static bool held_back(const struct writer *w, const struct spool_batch *b)
{
    return b->class == SPOOL_MAIL && !w->have_spare &&
           spool_log_room(w->log) < b->octets + w->log->disk->segment_size / 2;
}

static bool mark_due(const struct writer *w)
{
    return w->mark && spool_log_writable(w->log) && !spool_log_marked(w->log) &&
           spool_log_room(w->log) >= SPOOL_PAGE;
}

static bool head_held_back(const struct writer *w)
{
    return !list_empty(&w->incoming) && held_back(w, batch_of(w->incoming.next));
}

static bool has_work(const struct writer *w)
{
    if (!needs_segment(w) && head_held_back(w))
        return w->spare_error;
    if (needs_segment(w))
        return w->have_spare || (w->spare_error && (w->waited || !list_empty(&w->failed) ||
                                                       w->news.down != w->spare_error));
    return !list_empty(&w->incoming) || mark_due(w);
}

/* The rest is called with the lock held and lets go of it for the disk. */

static void roll(struct writer *w)
{
    struct log_segment next = w->spare;
    uint64_t end = w->log->end;
    int rc;

    w->have_spare = false;
    pthread_mutex_unlock(&w->lock);
    rc = spool_log_roll(w->log, &next);
    mem_free(next.in_use);
    pthread_mutex_lock(&w->lock);
    w->news.rolled = true;
    w->news.roll_error = rc;
    w->news.number = next.number;
    w->news.end_before = end;
    w->news.down = rc;
    w->news.position = spool_log_position(w->log);
    if (rc < 0) {
        w->spare_error = rc;
        fail_waiting(w, rc);
    }
    move_all(&w->failed, &w->done);
}

/* The failed ones wait until the log has gone on elsewhere; the others are written again there. */
static void group_failed(struct writer *w, struct list *group, int error)
{
    struct list *link;

    w->news.failed_groups++;
    w->news.sealed = true;
    w->news.sealed_number = w->log->segment;
    while (!list_empty(group)) {
        link = group->prev;
        list_remove(link);
        batch_of(link)->error = error;
        if (batch_of(link)->move)
            batch_of(link)->move->landed = 0; /* what follows it names the place where it lay */
        if (may_fail(batch_of(link)))
            list_add_first(&w->failed, link);
        else
            list_add_first(&w->incoming, link);
    }
}

static void take_group(struct writer *w, struct list *group)
{
    uint64_t room = spool_log_room(w->log), total = 0;

    while (!list_empty(&w->incoming)) {
        struct spool_batch *b = batch_of(w->incoming.next);

        if (total && total + b->octets > w->group_max)
            break;
        if (total + b->octets > room || held_back(w, b))
            break;
        total += b->octets;
        w->waited -= may_fail(b);
        list_remove(&b->link);
        list_add(group, &b->link);
    }
}

/* Takes out what its owner's checksum does not fit. */
static void check_contents(struct list *group, struct list *bad)
{
    LIST_EACH(link, group)
    {
        struct spool_batch *b = batch_of(link);

        b->error = 0;
        for (uint32_t i = 0; i < b->n && !b->error; i++)
            b->error = spool_log_check_content(b->messages[i]);
        if (!b->error)
            continue;
        list_remove(link);
        list_add(bad, link);
    }
}

static void write_group(struct writer *w)
{
    struct list group, bad;
    int rc = 0;

    list_init(&group);
    list_init(&bad);
    take_group(w, &group);
    w->mark = false;
    pthread_mutex_unlock(&w->lock);
    check_contents(&group, &bad);
    if (!list_empty(&group))
        rc = spool_log_write_group(w->log, &group);
    pthread_mutex_lock(&w->lock);
    if (rc < 0)
        group_failed(w, &group, rc);
    move_all(&group, &w->done);
    move_all(&bad, &w->done);
}

static void fail_head(struct writer *w)
{
    struct spool_batch *b = batch_of(w->incoming.next);

    list_remove(&b->link);
    w->waited -= may_fail(b);
    b->error = w->spare_error;
    list_add(&w->done, &b->link);
}

static void work(struct writer *w)
{
    int rc;

    if (needs_segment(w) && w->have_spare) {
        roll(w);
    } else if (needs_segment(w)) {
        w->news.down = w->spare_error;
        fail_waiting(w, w->spare_error);
    } else if (head_held_back(w)) {
        fail_head(w);
    } else if (!list_empty(&w->incoming)) {
        write_group(w);
    } else {
        w->mark = false;
        pthread_mutex_unlock(&w->lock);
        rc = spool_log_mark(w->log);
        pthread_mutex_lock(&w->lock);
        if (rc < 0) {
            w->news.sealed = true;
            w->news.sealed_number = w->log->segment;
        }
    }
    if (spool_log_writable(w->log))
        w->news.position = spool_log_position(w->log);
    w->news.groups = w->log->groups;
    w->news.syncs = w->log->syncs;
    w->news.written = w->log->written;
}

static void writer_main(void *arg)
{
    struct writer *w = arg;

    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        if (!has_work(w)) {
            pthread_cond_wait(&w->work, &w->lock);
            continue;
        }
        work(w);
        wakeup_send(w->wakeup);
    }
    pthread_mutex_unlock(&w->lock);
    if (spool_log_writable(w->log) && !spool_log_marked(w->log) &&
        spool_log_room(w->log) >= SPOOL_PAGE)
        spool_log_mark(
            w->log); /* if it fails, the next start takes the last group for unconfirmed */
}

static void main_ended(void *arg)
{
    struct writer *w = arg;

    w->running = false;
    w->on_news(w->arg);
}

/* ---- the loop's side */

int writer_open(struct writer *w, struct log *log, uint64_t group_max, void (*on_news)(void *arg),
    void *arg, struct err *e)
{
    *w = (struct writer){.log = log, .group_max = group_max, .on_news = on_news, .arg = arg};
    list_init(&w->incoming);
    list_init(&w->failed);
    list_init(&w->done);
    w->news.position = spool_log_position(log);
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
    CHECK(pthread_cond_init(&w->work, NULL) == 0);
    if (wakeup_open(&w->wakeup, on_news, arg, e) < 0 ||
        pool_open(&w->pool, "spool-writer", 1, 1, e) < 0) {
        writer_done(w);
        return -1;
    }
    return 0;
}

int writer_run(struct writer *w, struct err *e)
{
    if (!w->running && pool_submit(w->pool, writer_main, main_ended, w, e) < 0)
        return -1;
    w->running = true;
    return 0;
}

void writer_stop(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_done(struct writer *w)
{
    if (!w->log)
        return;
    CHECK(!w->running);
    pool_close(&w->pool);
    wakeup_close(&w->wakeup);
    if (w->have_spare)
        mem_free(w->spare.in_use);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    w->log = NULL;
}

void writer_push(struct writer *w, struct list *batches)
{
    struct list *link;

    pthread_mutex_lock(&w->lock);
    while ((link = list_take(batches))) {
        w->waited += may_fail(batch_of(link));
        list_add(&w->incoming, link);
    }
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_supply(struct writer *w, const struct log_segment *spare, int error)
{
    pthread_mutex_lock(&w->lock);
    CHECK(!w->have_spare);
    w->spare_error = error;
    if (spare) {
        w->spare = *spare;
        w->have_spare = true;
    }
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_mark(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->mark = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->lock);
}

void writer_collect(struct writer *w, struct list *done, struct writer_news *news)
{
    pthread_mutex_lock(&w->lock);
    move_all(&w->done, done);
    if (w->stop && !w->running) {
        move_all(&w->failed, done);
        LIST_EACH(link, &w->incoming)
        batch_of(link)->error = -ECANCELED;
        move_all(&w->incoming, done);
    }
    *news = w->news;
    w->news.rolled = w->news.sealed = false;
    pthread_mutex_unlock(&w->lock);
}
