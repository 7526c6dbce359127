#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/check.h"
#include "base/mem.h"

#include "core/spool/spool_int.h"

static const char ORIGIN[] = "spool";

/* Room in both lists for `files` files. */
static int room(struct large_files *f, uint32_t files)
{
    uint32_t cap = f->cap ? f->cap : 64;
    uint32_t *free, *dirty;

    while (cap < files)
        cap *= 2;
    if (cap == f->cap)
        return 0;
    free = mem_resize(f->free, cap * sizeof *free);
    if (free)
        f->free = free;
    dirty = mem_resize(f->dirty, cap * sizeof *dirty);
    if (dirty)
        f->dirty = dirty;
    if (!free || !dirty)
        return -1;
    f->cap = cap;
    return 0;
}

void large_files_done(struct large_files *f)
{
    mem_free(f->free);
    mem_free(f->dirty);
    f->free = f->dirty = NULL;
    f->free_count = f->dirty_count = f->cap = 0;
}

void large_release(struct spool *s, uint32_t file)
{
    CHECK(s->large.dirty_count < s->large.cap);
    s->large.dirty[s->large.dirty_count++] = file;
    chores_kick(s);
}

/* ---- at start */

struct found_files {
    struct spool *spool;
    uint32_t *v;
    uint32_t count, cap, max;
};

static int list_file(void *arg, const char *name)
{
    struct found_files *f = arg;
    struct str text = str_c(name);
    uint64_t file;

    if (text.n != 8 || !str_to_u64(text, 99999999, &file) || !file)
        return 0;
    if (f->count == f->cap) {
        uint32_t cap = f->cap ? f->cap * 2 : 64;
        uint32_t *v = mem_resize(f->v, cap * sizeof *v);

        if (!v)
            return -ENOMEM;
        f->v = v;
        f->cap = cap;
    }
    f->v[f->count++] = (uint32_t)file;
    if (file > f->max)
        f->max = (uint32_t)file;
    return 0;
}

/* A file that nothing refers to, where records may have been lost: it may be somebody's mail. */
static void set_aside(struct spool *s, uint32_t file)
{
    const struct disk *d = &s->store.disk;
    char from[DISK_PATH], to[DISK_PATH], name[32], target[64];
    struct sys_stat st;

    disk_large_name(name, file);
    snprintf(
        target, sizeof target, "quarantine/large-%08u.%llu", file, (unsigned long long)d->epoch);
    if (disk_path(d, from, name) < 0 || disk_path(d, to, target) < 0 ||
        d->sys->stat(d->sys, from, &st) < 0 || !st.size)
        return;
    if (d->sys->rename(d->sys, from, to) == 0)
        disk_sync_dir(d, "quarantine");
}

static void sort_files(struct spool *s, const struct found_files *f, const char *used, bool lost)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (used[f->v[i]])
            continue;
        if (lost)
            set_aside(s, f->v[i]);
        s->large.dirty[s->large.dirty_count++] = f->v[i];
    }
}

int large_files_load(struct spool *s, bool lost, struct err *e)
{
    const struct disk *d = &s->store.disk;
    struct found_files f = {.spool = s};
    struct index *x = &s->store.index;
    char path[DISK_PATH], *used = NULL;
    int rc = disk_path(d, path, "large");

    if (rc == 0)
        rc = d->sys->list(d->sys, path, list_file, &f);
    for (uint32_t i = 0; i < x->top; i++)
        if (index_at(x, i) && index_at(x, i)->large > f.max)
            f.max = index_at(x, i)->large;
    if (rc == 0 && f.max <= 99999999)
        used = mem_zalloc((size_t)f.max + 1);
    if (rc == 0 && (!used || room(&s->large, f.max + 1) < 0))
        rc = -ENOMEM;
    if (rc == 0) {
        for (uint32_t i = 0; i < x->top; i++)
            if (index_at(x, i))
                used[index_at(x, i)->large] = 1;
        s->large.max = f.max;
        sort_files(s, &f, used, lost);
    }
    mem_free(used);
    mem_free(f.v);
    return rc < 0 ? err_os(e, -rc, ORIGIN, "%s", path) : 0;
}

/* ---- emptying */

struct empty_job {
    const struct disk *disk;
    uint32_t file;
    int rc;
};

static void empty_run(void *arg)
{
    struct empty_job *j = arg;

    j->rc = large_empty(j->disk, j->file);
}

static void abort_run(void *arg)
{
    struct spool_large *l = arg;

    disk_close(l->disk, l->h);
    l->h = -1;
}

bool large_chore(struct spool *s)
{
    struct large_files *f = &s->large;
    struct list *link = list_take(&f->aborted);
    struct empty_job *j;

    if (link) {
        struct spool_large *l = LIST_ENTRY(link, struct spool_large, link);

        if (pool_run(s->large_pool, abort_run, l, NULL) < 0)
            abort_run(l);
        f->dirty[f->dirty_count++] = l->file;
        mem_free(l);
        return true;
    }
    j = f->dirty_count ? MEM_NEW(struct empty_job) : NULL;
    if (!j)
        return false;
    *j = (struct empty_job){.disk = &s->store.disk, .file = f->dirty[--f->dirty_count]};
    if (pool_run(s->large_pool, empty_run, j, NULL) < 0)
        j->rc = -EAGAIN;
    /* One that cannot be emptied now is emptied when it is opened. */
    f->free[f->free_count++] = j->file;
    mem_free(j);
    return true;
}

/* ---- the calls */

static void open_run(void *arg)
{
    struct spool_large *l = arg;

    l->error = large_open(l);
}

static void write_run(void *arg)
{
    struct spool_large *l = arg;

    l->error = large_write(l);
}

static void finish_run(void *arg)
{
    struct spool_large *l = arg;

    l->error = large_finish(l);
}

static int run(struct spool_large *l, void (*fn)(void *arg), struct err *e)
{
    if (pool_run(l->spool->large_pool, fn, l, e) < 0) {
        l->error = -ECANCELED; /* octets are missing from here on */
        return -1;
    }
    return l->error ? spool_error(e, l->error, "large content") : 0;
}

int spool_large_begin(struct spool *s, struct spool_large **out, struct err *e)
{
    struct large_files *f = &s->large;
    struct spool_large *l;

    if (s->state == SPOOL_FULL)
        return spool_error(e, -ENOSPC, "the spool's reserve is reached");
    l = MEM_NEW(struct spool_large);
    if (!l || (!f->free_count && room(f, f->max + 2) < 0)) {
        mem_free(l);
        return err_memory(e, ORIGIN);
    }
    l->spool = s;
    l->disk = &s->store.disk;
    l->h = -1;
    l->file = f->free_count ? f->free[--f->free_count] : ++f->max;
    l->use = s->store.disk.epoch << 32 | ++f->uses;
    if (run(l, open_run, e) < 0) {
        spool_large_abort(&l);
        return -1;
    }
    *out = l;
    return 0;
}

int spool_large_write(struct spool_large *l, struct str octets, struct err *e)
{
    CHECK(!l->finished);
    if (l->error)
        return spool_error(e, l->error, "large content");
    l->octets = octets;
    return run(l, write_run, e);
}

int spool_large_finish(struct spool_large *l, struct err *e)
{
    if (l->error)
        return spool_error(e, l->error, "large content");
    return run(l, finish_run, e);
}

uint64_t spool_large_size(const struct spool_large *l)
{
    return l->size;
}

void spool_large_abort(struct spool_large **lp)
{
    struct spool_large *l = *lp;

    if (!l)
        return;
    *lp = NULL;
    list_add(&l->spool->large.aborted, &l->link);
    chores_kick(l->spool);
}
