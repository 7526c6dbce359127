#include "core/trace/trace.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/timefmt.h"

#include "run/fiber.h"

#include "core/spool/format.h"
#include "core/trace/append.h"
#include "core/trace/search.h"

enum {
    GATHERED_MAX = 8 << 20, /* octets: a disk that stands still for seconds loses nothing */
    GATHERED_SOON = 128 * 1024,
    WRITE_AFTER_MS = 100,
    KEEP_EVERY_MS = 3600 * 1000,
    SEGMENTS_WANTED = 64, /* of trace { size }, and */
    SEGMENT_LEAST = 1 << 20,
    SEGMENT_MOST = 32 << 20, /* what is scanned while it has no index: some 50 ms */
    AGES_WANTED = 16,        /* of trace { keep } */
    READERS = 2,
    READS_WAITING = 64,
    LENGTH = 2,
};

struct trace {
    struct trace_settings settings;
    char path[TRACE_PATH_MAX];
    struct scope scope;
    struct pool *writing, *reading;
    struct timer *timer, *hourly;
    struct cond work, written, chores;

    struct buf gathered;  /* length u16 and event, one after the other */
    uint64_t taken, done; /* events: numbered, and how many of them are out of our hands */
    uint64_t refusal_second;
    uint32_t refusals;
    bool timer_set, stopping, keep_due;

    struct append append; /* the writer's while it is at work, as is the batch */
    struct buf batch;
    struct keep keep; /* the keeper's */

    uint64_t segment; /* as the writer said last */
    uint64_t segment_max;
    uint64_t damaged_written, damaged_kept;
    struct trace_stats stats;
    uint64_t lost_said;
};

static void on_timer(void *arg)
{
    struct trace *t = arg;

    cond_wake_all(&t->work);
}

static void on_hour(void *arg)
{
    struct trace *t = arg;

    t->keep_due = true;
    cond_wake_all(&t->chores);
    timer_set(t->hourly, run_now() + KEEP_EVERY_MS);
}

/* ---- writing */

static bool is_refused_too_often(struct trace *t, const struct trace_event *ev)
{
    uint64_t second = run_now() / 1000;

    if (ev->kind != TRACE_REFUSED)
        return false;
    if (second != t->refusal_second) {
        t->refusal_second = second;
        t->refusals = 0;
    }
    if (t->refusals == TRACE_REFUSALS_MAX) {
        t->stats.refusals_left_out++;
        return true;
    }
    t->refusals++;
    return false;
}

/* The length is put in front when it is known. */
static bool gather(struct trace *t, const struct trace_event *ev)
{
    size_t before = buf_len(&t->gathered);
    static const char room[LENGTH];
    char *length;

    if (buf_put(&t->gathered, str_of(room, LENGTH)) == 0 &&
        event_encode(ev, wall_ms(), &t->gathered) == 0) {
        length = t->gathered.p + t->gathered.start + before;
        put_u16(length, (uint16_t)(buf_len(&t->gathered) - before - LENGTH));
        return true;
    }
    t->gathered.bad = false;
    buf_truncate(&t->gathered, before);
    return false;
}

void trace_write(struct trace *t, const struct trace_event *ev)
{
    if (!t || is_refused_too_often(t, ev))
        return;
    t->stats.events++;
    if (!gather(t, ev)) {
        t->stats.lost++;
        return;
    }
    t->taken++;
    if (buf_len(&t->gathered) >= GATHERED_SOON) {
        cond_wake_all(&t->work);
    } else if (!t->timer_set) {
        t->timer_set = true;
        timer_set(t->timer, run_now() + WRITE_AFTER_MS);
    }
}

static void write_job(void *arg)
{
    struct trace *t = arg;

    append_events(&t->append, buf_str(&t->batch));
}

/* Losses are said when they begin, or go on after a write that worked. */
static void say(struct trace *t, uint64_t lost, int error)
{
    const struct event *event = t->settings.event;

    if (lost > t->lost_said && !t->stats.failing)
        log_warning(event, "trace_lost", kv_u64("events", lost - t->lost_said),
            kv_c("why", error ? strerror(-error) : "more at once than fits into memory"));
    if (t->stats.failing && !error)
        log_info(event, "trace_works_again", kv_u64("lost", lost));
    t->lost_said = lost;
    t->stats.failing = error != 0;
}

static void write_gathered(struct trace *t)
{
    uint64_t upto = t->taken, lost = t->append.lost;
    struct buf empty = t->batch;

    t->batch = t->gathered;
    t->gathered = empty;
    t->timer_set = false;
    t->append.segment_max = t->segment_max;
    t->append.segment_ms = (int64_t)(t->settings.keep_ms / AGES_WANTED);
    if (pool_run(t->writing, write_job, t, NULL) < 0) {
        t->stats.lost += upto - t->done;
    } else {
        t->stats.lost += t->append.lost - lost;
        say(t, t->stats.lost, t->append.error);
    }
    buf_clear(&t->batch);
    t->done = upto;
    cond_wake_all(&t->written);
    t->damaged_written = t->append.damaged;
    if (t->append.last != t->segment) {
        t->segment = t->append.last;
        t->keep_due = true;
        cond_wake_all(&t->chores);
    }
}

static void writer_fiber(void *arg)
{
    struct trace *t = arg;

    for (;;) {
        if (t->done < t->taken)
            write_gathered(t);
        if (t->stopping && t->done == t->taken)
            return;
        if (buf_len(&t->gathered) < GATHERED_SOON && cond_wait(&t->work, "events", NULL) < 0 &&
            t->done == t->taken)
            return;
    }
}

/* ---- keeping */

static void keep_job(void *arg)
{
    keep_in_order(arg);
}

static void keeper_fiber(void *arg)
{
    struct trace *t = arg;

    while (!t->stopping) {
        if (!t->keep_due) {
            if (cond_wait(&t->chores, "chores", NULL) < 0)
                return;
            continue;
        }
        t->keep_due = false;
        t->keep.writing = t->segment;
        t->keep.size = t->settings.size;
        t->keep.keep_ms = t->settings.keep_ms;
        if (pool_run(t->reading, keep_job, &t->keep, NULL) < 0)
            return;
        t->stats.segments = t->keep.segments;
        t->stats.octets = t->keep.octets;
        t->damaged_kept = t->keep.damaged;
    }
}

/* ---- life */

void trace_reconfigure(struct trace *t, uint64_t size, uint64_t keep_ms)
{
    uint64_t segment = size / SEGMENTS_WANTED;

    if (!t)
        return;
    if (segment < SEGMENT_LEAST)
        segment = SEGMENT_LEAST;
    if (segment > SEGMENT_MOST)
        segment = SEGMENT_MOST;
    t->settings.size = size;
    t->settings.keep_ms = keep_ms;
    t->segment_max = t->settings.segment ? t->settings.segment : segment;
    t->keep_due = true;
    cond_wake_all(&t->chores);
}

static int make_dir(const struct trace *t, struct err *e)
{
    int rc = t->settings.sys->mkdir(t->settings.sys, t->path, 0700);

    if (rc < 0 && rc != -EEXIST)
        return err_os(e, -rc, "trace", "%s: cannot make the directory", t->path);
    return 0;
}

static int start(struct trace *t, struct err *e)
{
    if (make_dir(t, e) < 0 || timer_open(&t->timer, on_timer, t, e) < 0 ||
        timer_open(&t->hourly, on_hour, t, e) < 0 || pool_open(&t->writing, "trace", 1, 1, e) < 0 ||
        pool_open(&t->reading, "trace-read", READERS, READS_WAITING, e) < 0 ||
        fiber_start(&t->scope, "trace-writer", writer_fiber, t, e) < 0 ||
        fiber_start(&t->scope, "trace-keeper", keeper_fiber, t, e) < 0)
        return -1;
    timer_set(t->hourly, run_now() + KEEP_EVERY_MS);
    return 0;
}

int trace_open(struct trace **out, const struct trace_settings *settings, struct err *e)
{
    struct trace *t = MEM_NEW(struct trace);

    if (!t)
        return err_memory(e, "trace");
    t->settings = *settings;
    scope_init(&t->scope);
    cond_init(&t->work);
    cond_init(&t->written);
    cond_init(&t->chores);
    buf_init(&t->gathered, GATHERED_MAX);
    buf_init(&t->batch, GATHERED_MAX);
    snprintf(t->path, sizeof t->path, "%s", settings->path);
    t->settings.path = t->path;
    append_init(&t->append, settings->sys, t->path);
    t->keep = (struct keep){.sys = settings->sys, .dir = t->path};
    trace_reconfigure(t, settings->size, settings->keep_ms);
    *out = t;
    if (start(t, e) == 0)
        return 0;
    trace_close(out);
    return -1;
}

void trace_close(struct trace **out)
{
    struct trace *t = *out;

    if (!t)
        return;
    t->stopping = true;
    cond_wake_all(&t->work);
    cond_wake_all(&t->chores);
    scope_join(&t->scope);
    pool_close(&t->writing);
    pool_close(&t->reading);
    timer_close(&t->timer);
    timer_close(&t->hourly);
    append_done(&t->append);
    buf_done(&t->gathered);
    buf_done(&t->batch);
    mem_free(t);
    *out = NULL;
}

void trace_stats(const struct trace *t, struct trace_stats *s)
{
    *s = (struct trace_stats){0};
    if (!t)
        return;
    *s = t->stats;
    s->damaged = t->damaged_written + t->damaged_kept;
}

/* ---- searching */

/* What was written before the call is on its way to the file before anybody reads. */
static int wait_written(struct trace *t, struct err *e)
{
    uint64_t upto = t->taken;

    cond_wake_all(&t->work);
    while (t->done < upto)
        if (cond_wait(&t->written, "trace", e) < 0)
            return -1;
    return 0;
}

struct find {
    struct trace_source source;
    struct arena *arena;
    struct str address;
    int64_t since_ms;
    uint32_t limit;
    struct trace_ids ids;
    struct trace_query query;
    struct trace_event *found;
    uint32_t count;
    int status;
    struct err e;
};

static void find_ids_job(void *arg)
{
    struct find *f = arg;

    f->status =
        trace_search_ids(&f->source, f->arena, f->address, f->since_ms, f->limit, &f->ids, &f->e);
}

static void find_job(void *arg)
{
    struct find *f = arg;

    f->status = trace_search(&f->source, f->arena, &f->query, &f->found, &f->count, &f->e);
}

static int run_find(struct trace *t, struct find *f, void (*job)(void *arg), struct err *e)
{
    f->source = (struct trace_source){t->settings.sys, t->path};
    if (wait_written(t, e) < 0 || pool_run(t->reading, job, f, e) < 0)
        return -1;
    if (f->status < 0 && e)
        *e = f->e;
    return f->status;
}

int trace_find_ids(struct trace *t, struct arena *arena, struct str address, int64_t since_ms,
    uint32_t limit, struct trace_ids *found, struct err *e)
{
    struct find *f = t ? MEM_NEW(struct find) : NULL;
    int status;

    *found = (struct trace_ids){0};
    if (!f)
        return t ? err_memory(e, "trace") : 0;
    f->arena = arena;
    f->address = address;
    f->since_ms = since_ms;
    f->limit = limit;
    status = run_find(t, f, find_ids_job, e);
    *found = f->ids;
    mem_free(f);
    return status;
}

int trace_find(struct trace *t, struct arena *arena, struct trace_query *query,
    struct trace_event **found, uint32_t *count, struct err *e)
{
    struct find *f = t ? MEM_NEW(struct find) : NULL;
    int status;

    *found = NULL;
    *count = 0;
    query->done = true;
    if (!f)
        return t ? err_memory(e, "trace") : 0;
    f->arena = arena;
    f->query = *query;
    status = run_find(t, f, find_job, e);
    if (status == 0)
        *query = f->query;
    *found = f->found;
    *count = f->count;
    mem_free(f);
    return status;
}
