#include <errno.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/checkpoint.h"
#include "core/spool/spool_int.h"

enum {
    TICK_MS = 1000,
    RETRY_TICKS = 3, /* between attempts to get a segment from storage that fails */
    IDLE_TICKS = 10,
    CHECKPOINT_TICKS = 300, /* a log that grows slowly gets one all the same */
    PINNED_MIN = 4,         /* segments that only hold what others need */
    STATES_MAX = 8 << 20,   /* octets of STATE records at a time */
};

static bool is_full(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

void chores_set_state(struct spool *s)
{
    enum spool_state state = SPOOL_READY;

    if (s->low || is_full(s->down) || is_full(s->spare_error))
        state = SPOOL_FULL;
    if (s->down && !is_full(s->down))
        state = SPOOL_BROKEN;
    if (state == s->state)
        return;
    s->state = state;
    if (s->settings.on_state)
        s->settings.on_state(s->settings.arg, state);
}

void chores_kick(struct spool *s)
{
    s->kicked = true;
    cond_wake_one(&s->work);
}

void chores_retry_later(struct spool *s)
{
    s->retry_recycled = s->stats.recycled;
    s->retry_at = s->ticks + (is_full(s->spare_error) ? 1 : RETRY_TICKS);
}

/* ---- segments */

static void prepare_run(void *arg)
{
    spool_store_prepare_run(arg);
}

bool chores_space_is_wanted(const struct spool *s)
{
    return s->low || is_full(s->spare_error);
}

static void keep_spare(struct spool *s)
{
    struct preparing *p = &s->preparing;
    int rc;

    /* After a failure not at once again, unless a file has become free since. */
    if (s->have_spare ||
        (s->spare_error && s->ticks < s->retry_at && s->retry_recycled == s->stats.recycled))
        return;
    rc = spool_store_prepare_begin(&s->store, p);
    if (rc == 0) {
        if (pool_run(s->back, prepare_run, p, NULL) < 0)
            p->rc = -ENOMEM;
        rc = spool_store_prepare_end(&s->store, p);
    }
    s->have_spare = rc == 0;
    s->spare_error = rc;
    chores_retry_later(s);
    writer_supply(&s->writer, rc == 0 ? &p->next : NULL, rc);
}

static void release_run(void *arg)
{
    spool_store_release_run(arg);
}

static void release_segments(struct spool *s)
{
    struct segment *segment;

    while ((segment = spool_store_releasable(&s->store))) {
        spool_store_release_begin(&s->store, segment, &s->releasing);
        if (pool_run(s->back, release_run, &s->releasing, NULL) < 0)
            s->releasing.rc = -ENOMEM;
        spool_store_release_end(&s->store, &s->releasing);
        s->stats.recycled += s->releasing.rc == 0;
        keep_spare(s);
    }
}

static void surplus_run(void *arg)
{
    struct surplus *p = arg;

    disk_unlink(p->disk, p->name);
}

static void remove_surplus(struct spool *s)
{
    struct segment *segment;

    while ((segment = spool_store_surplus(&s->store))) {
        s->surplus.disk = &s->store.disk;
        disk_segment_name(s->surplus.name, segment->file);
        segment_free(segment);
        if (pool_run(s->back, surplus_run, &s->surplus, NULL) < 0)
            return;
    }
}

/* Segments in which nothing is alive stay for what they say about older ones. When there are many,
 * what is alive in those older ones is written down anew, and they can go. */
static void write_states(struct spool *s)
{
    struct index *x = &s->store.index;
    struct segment *oldest = NULL;
    uint32_t pinned = 0;
    size_t octets = 0;

    for (uint32_t i = x->segment_count; i > 0; i--) {
        struct segment *k = x->segments[i - 1];

        if (k->life != SEGMENT_SEALED || k->live || !k->needs_count)
            continue;
        oldest = k;
        pinned++;
    }
    if (!pinned ||
        (!chores_space_is_wanted(s) && (pinned < PINNED_MIN || pinned * 4 < x->segment_count)))
        return;
    for (uint32_t i = 0; i < oldest->needs_count && octets < STATES_MAX; i++) {
        struct segment *about = index_segment(x, oldest->needs[i]);
        struct spool_batch *b;

        if (!about || about->in_flight)
            continue;
        b = batch_state(x, about);
        if (!b)
            return;
        octets += b->octets;
        if (b->octets > spool_log_room_max(&s->store.disk, x->segment_count + 1)) {
            batch_revert(b, x);
            batch_free(b);
            continue;
        }
        spool_submit(s, b);
    }
}

/* ---- what a failed sync may have taken with it */

static void sealed_run(void *arg)
{
    struct sealed_check *c = arg;
    struct scan_frame frame;
    struct scan scan;
    char name[32];
    int h;

    disk_segment_name(name, c->copy.file);
    h = disk_open(c->disk, name, 0);
    c->rc = h;
    if (h < 0)
        return;
    c->rc = scan_init(&scan, c->disk, h, &c->copy, SEGMENT_DATA, 0, c->copy.end);
    if (c->rc == 0) {
        while (scan_next(&scan, &frame)) {
            if (!frame.after_gap && frame_check_body(c->disk, h, frame.at, &frame.f) == 0)
                continue;
            if (!c->bad)
                c->bad = frame.at - frame.gap;
            c->bad_end = scan.end;
        }
        if (scan.end < c->copy.end) {
            c->bad = c->bad ? c->bad : scan.end;
            c->bad_end = c->copy.end;
        }
        scan_done(&scan);
    }
    disk_close(c->disk, h);
}

static void check_sealed(struct spool *s)
{
    struct segment *segment = index_segment(&s->store.index, s->sealed.segment);
    struct sealed_check *c = &s->sealed;
    char name[32];

    /* Its end is known when the log has gone on elsewhere. */
    if (!c->wanted || (segment && segment->life == SEGMENT_CURRENT))
        return;
    c->wanted = false;
    if (!segment)
        return;
    c->disk = &s->store.disk;
    c->copy = *segment;
    c->bad = c->bad_end = 0;
    if (pool_run(s->back, sealed_run, c, NULL) < 0 || c->rc < 0 || !c->bad)
        return;
    disk_segment_name(name, c->copy.file);
    spool_damaged(s, name, c->copy.number, c->bad, c->bad_end, "records in a failed segment");
}

/* ---- space */

static void space_run(void *arg)
{
    struct space_check *c = arg;

    c->rc = c->disk->sys->space(c->disk->sys, c->disk->path, &c->space);
}

static void check_space(struct spool *s)
{
    uint64_t size = s->settings.segment, have;

    /* An idle server need not look every second. */
    if (!s->low && s->space.written == s->written && s->ticks % IDLE_TICKS)
        return;
    s->space.written = s->written;
    s->space.disk = &s->store.disk;
    if (pool_run(s->back, space_run, &s->space, NULL) < 0 || s->space.rc < 0)
        return;
    have = s->space.space.free + (s->store.free_count + s->have_spare) * size;
    /* Once low, a quarter of a segment more has to be there, so that the state does not flap. */
    s->low = have < s->settings.reserve + (s->low ? size / 4 : 0);
}

/* ---- checkpoints */

static void checkpoint_write_run(void *arg)
{
    struct checkpoint_job *j = arg;

    j->rc = checkpoint_write(&j->c);
}

static void checkpoint_commit_run(void *arg)
{
    struct checkpoint_job *j = arg;

    j->rc = checkpoint_commit(&j->c);
}

static bool checkpoint_step(struct spool *s, void (*run)(void *arg))
{
    struct checkpoint_job *j = &s->checkpoint;

    return pool_run(s->back, run, j, NULL) == 0 && j->rc == 0;
}

static void write_checkpoint(struct spool *s)
{
    struct checkpoint_job *j = &s->checkpoint;
    struct index *x = &s->store.index;
    uint64_t written = s->written;
    uint32_t i = 0;
    bool ok;
    int more = 1;

    j->running = true;
    checkpoint_init(&j->c, &s->store.disk);
    ok = checkpoint_begin(&j->c, &s->position, x) == 0;
    while (ok && more > 0) {
        more = checkpoint_entries(&j->c, x, &i);
        ok = more >= 0 && checkpoint_step(s, checkpoint_write_run);
    }
    ok = ok && checkpoint_end(&j->c) == 0 && checkpoint_step(s, checkpoint_write_run);
    ok = ok && checkpoint_step(s, checkpoint_commit_run);
    checkpoint_done(&j->c);
    j->running = false;
    j->tick = s->ticks;
    cond_wake_all(&s->flushed);
    if (ok) {
        j->written = written;
        s->stats.checkpoints++;
    }
}

static bool checkpoint_due(const struct spool *s)
{
    uint64_t grown = s->written - s->checkpoint.written;

    return grown >= s->settings.checkpoint ||
           (grown && s->ticks - s->checkpoint.tick >= CHECKPOINT_TICKS);
}

static void checkpoints_main(void *arg)
{
    struct spool *s = arg;

    while (!s->closing) {
        if (checkpoint_due(s))
            write_checkpoint(s);
        cond_wait(&s->checkpoint_work, "spool checkpoint", NULL);
    }
}

/* ---- the fiber */

static void on_tick(void *arg)
{
    struct spool *s = arg;

    s->ticks++;
    spool_publish(s);
    writer_mark(&s->writer);
    chores_kick(s);
    cond_wake_all(&s->checkpoint_work);
    paced_tick(&s->compaction.paced);
    paced_tick(&s->scrub.paced);
    timer_set(s->tick, run_now() + TICK_MS);
}

static void wind_up(struct spool *s)
{
    timer_set(s->tick, DEADLINE_NONE);
    while (s->compaction.paced.running || s->scrub.paced.running)
        cond_wait(&s->flushed, "spool compaction", NULL);
    spool_publish(s);
    while (s->finished < s->handed_in && !s->down && s->writer.running) {
        keep_spare(s);
        cond_wait(&s->flushed, "spool flush", NULL);
    }
    while (large_chore(s))
        ;
    while (s->copies || s->checkpoint.running)
        cond_wait(&s->flushed, "spool copies", NULL);
    if (s->written != s->checkpoint.written)
        write_checkpoint(s);
    writer_stop(&s->writer);
    while (s->writer.running)
        cond_wait(&s->flushed, "spool writer", NULL);
    spool_news(s);
}

/* Without memory at the next tick. */
static void start_paced(struct spool *s, struct paced *p, const char *name, void (*main)(void *arg))
{
    if (!p->running)
        p->running = fiber_start(&s->scope, name, main, s, NULL) == 0;
}

static void chores_main(void *arg)
{
    struct spool *s = arg;
    bool checkpoints = false;

    while (!s->closing) {
        s->kicked = false;
        if (!s->writer.running)
            writer_run(&s->writer, NULL); /* without memory, at the next tick */
        if (!checkpoints)
            checkpoints =
                fiber_start(&s->scope, "spool checkpoints", checkpoints_main, s, NULL) == 0;
        start_paced(s, &s->compaction.paced, "spool compaction", compact_main);
        start_paced(s, &s->scrub.paced, "spool scrub", scrub_main);
        keep_spare(s);
        release_segments(s);
        remove_surplus(s);
        write_states(s);
        check_sealed(s);
        while (large_chore(s))
            keep_spare(s);
        check_space(s);
        chores_set_state(s);
        while (!s->kicked && !s->closing)
            cond_wait(&s->work, "spool chores", NULL);
    }
    wind_up(s);
}

int chores_start(struct spool *s, struct err *e)
{
    scope_init(&s->scope);
    cond_init(&s->work);
    cond_init(&s->checkpoint_work);
    if (pool_open(&s->back, "spool-back", 2, 4096, e) < 0 ||
        timer_open(&s->tick, on_tick, s, e) < 0)
        return -1;
    timer_set(s->tick, run_now() + TICK_MS);
    return fiber_start(&s->scope, "spool chores", chores_main, s, e);
}

void chores_stop(struct spool *s)
{
    s->closing = true;
    cond_wake_all(&s->work);
    cond_wake_all(&s->checkpoint_work);
    cond_wake_all(&s->compaction.paced.wake);
    cond_wake_all(&s->scrub.paced.wake);
    scope_join(&s->scope);
}

void chores_done(struct spool *s)
{
    timer_close(&s->tick);
    pool_close(&s->back);
}
