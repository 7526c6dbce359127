#include "core/spool/store.h"

#include <errno.h>
#include <fcntl.h>

#include "base/check.h"
#include "base/mem.h"

static const char ORIGIN[] = "spool";

/* ---- opening */

/* Whoever may write to the spool may put mail into anybody's name. */
static int check_mode(const struct disk *d, const char *path, struct err *e)
{
    struct sys_stat st;
    int rc = d->sys->stat(d->sys, path, &st);

    if (rc < 0)
        return err_os(e, -rc, ORIGIN, "%s", path);
    if (st.mode & 022)
        return err_set(e, ERR_PERMANENT, ORIGIN, "%s: others may write to it", path);
    return 0;
}

static int make_dir(const struct disk *d, const char *name, struct err *e)
{
    char path[DISK_PATH];
    int rc = disk_path(d, path, name);

    if (rc == 0)
        rc = d->sys->mkdir(d->sys, path, 0700);
    if (rc < 0 && rc != -EEXIST)
        return err_os(e, -rc, ORIGIN, "%s", path);
    return check_mode(d, path, e);
}

/* The names of the directories are durable before the first record. */
static int make_dirs(struct store *s, struct err *e)
{
    static const char *const names[] = {"", "large", "quarantine"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (make_dir(&s->disk, names[i], e) < 0)
            return -1;
    s->lock = disk_open(&s->disk, "lock", O_RDWR | O_CREAT);
    if (s->lock < 0)
        return err_os(e, -s->lock, ORIGIN, "%s/lock", s->disk.path);
    if (s->disk.sys->lock(s->disk.sys, s->lock) < 0)
        return err_set(
            e, ERR_TEMPORARY, ORIGIN, "%s: another server uses this spool", s->disk.path);
    return 0;
}

int spool_store_open(
    struct store *s, const struct spool_settings *settings, struct recovery *r, struct err *e)
{
    uint64_t size = settings->segment ? settings->segment : 64 << 20;
    int rc;

    s->disk = (struct disk){
        .sys = settings->sys,
        .path = settings->path,
        .segment_size = size < SEGMENT_MIN ? SEGMENT_MIN : page_up(size),
        .no_sync = settings->no_sync,
    };
    s->current = NULL;
    s->free = NULL;
    s->free_count = s->free_cap = 0;
    index_init(&s->index);
    spool_log_init(&s->log, &s->disk);
    s->lock = -1;
    *r = (struct recovery){.disk = &s->disk, .index = &s->index, .settings = settings};
    rc = make_dirs(s, e);
    if (rc == 0)
        rc = spool_recover(r, e);
    if (rc < 0) {
        recovery_done(r);
        spool_store_close(s);
        return rc;
    }
    s->disk.epoch++;
    s->free = r->free;
    s->free_count = r->free_count;
    s->free_cap = r->free_cap;
    r->free = NULL;
    r->free_count = 0;
    s->file_max = r->file_max;
    s->number_max = r->number_max;
    spool_log_resume(&s->log, r);
    return 0;
}

void spool_store_close(struct store *s)
{
    spool_log_done(&s->log);
    for (uint32_t i = 0; i < s->free_count; i++)
        segment_free(s->free[i]);
    mem_free(s->free);
    s->free = NULL;
    s->free_count = 0;
    index_done(&s->index);
    disk_close(&s->disk, s->lock);
    s->lock = -1;
}

/* ---- a segment to go on with */

static struct segment *take_free(struct store *s, uint32_t i)
{
    struct segment *segment = s->free[i];

    s->free_count--;
    memmove(s->free + i, s->free + i + 1, (s->free_count - i) * sizeof(struct segment *));
    return segment;
}

/* Files of the size that the configuration wants now. */
static struct segment *take_fitting(struct store *s)
{
    for (uint32_t i = 0; i < s->free_count; i++)
        if (s->free[i]->size == s->disk.segment_size)
            return take_free(s, i);
    return NULL;
}

static int room_for_free(struct store *s)
{
    uint32_t cap = s->free_cap ? s->free_cap * 2 : 16;
    struct segment **v;

    if (s->free_count < s->free_cap)
        return 0;
    v = mem_resize(s->free, cap * sizeof(struct segment *));
    if (!v)
        return -ENOMEM;
    s->free = v;
    s->free_cap = cap;
    return 0;
}

static struct log_extent extent_of(const struct segment *s)
{
    return (struct log_extent){s->number, s->life == SEGMENT_CURRENT ? 0 : s->end};
}

int spool_store_prepare_begin(struct store *s, struct preparing *p)
{
    struct index *x = &s->index;

    *p = (struct preparing){.disk = &s->disk};
    p->next.in_use = mem_array(x->segment_count + 1, sizeof *p->next.in_use);
    p->segment = p->next.in_use ? take_fitting(s) : NULL;
    if (p->next.in_use && !p->segment) {
        p->create = true;
        p->segment = segment_new();
        if (p->segment) {
            p->segment->file = ++s->file_max;
            p->segment->size = s->disk.segment_size;
        }
    }
    if (!p->segment) {
        mem_free(p->next.in_use);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < x->segment_count; i++)
        if (x->segments[i]->life != SEGMENT_SPARE)
            p->next.in_use[p->next.count++] = extent_of(x->segments[i]);
    if (p->next.count > s->disk.segment_size / 64) /* thousands; the oldest go unwatched */
        p->next.count = (uint32_t)(s->disk.segment_size / 64);
    /* A number is never tried twice: a stamp that failed may be on the disk all the same. */
    p->number = ++s->number_max;
    p->next.number = p->number;
    p->next.file = p->segment->file;
    p->stamped = *p->segment;
    return 0;
}

void spool_store_prepare_run(struct preparing *p)
{
    p->rc = p->create ? segment_create(p->disk, p->segment->file) : 0;
    if (p->rc < 0)
        return;
    p->create = false; /* the file is there */
    p->rc = segment_stamp(p->disk, &p->stamped, p->number);
}

static void take_stamp(struct segment *s, const struct segment *stamped)
{
    s->number = stamped->number;
    s->previous = stamped->previous;
    s->serial = stamped->serial;
    s->epoch = stamped->epoch;
    s->slot = stamped->slot;
}

/* Records that a file may hold by now are of a number that is not used again, so the file can be.
 */
static void put_back(struct store *s, struct segment *segment)
{
    if (room_for_free(s) < 0) {
        segment_free(segment); /* the next start will find it */
        return;
    }
    segment->number = 0;
    segment->life = SEGMENT_FREE;
    segment->freed_at = s->number_max;
    s->free[s->free_count++] = segment;
}

int spool_store_prepare_end(struct store *s, struct preparing *p)
{
    if (p->rc == 0) {
        take_stamp(p->segment, &p->stamped);
        p->segment->life = SEGMENT_SPARE;
        p->segment->end = 0;
        p->segment->pinned = p->segment->stuck = p->segment->replacing = false;
        p->segment->needs_count = 0;
        if (index_add_segment(&s->index, p->segment) < 0)
            p->rc = -ENOMEM;
    }
    if (p->rc < 0) {
        if (p->create)
            segment_free(p->segment);
        else
            put_back(s, p->segment);
        mem_free(p->next.in_use);
        p->segment = NULL;
    }
    return p->rc;
}

void spool_store_rolled(struct store *s, uint64_t number, uint64_t end_before)
{
    struct segment *next = index_segment(&s->index, number);

    CHECK(next && next->life == SEGMENT_SPARE);
    if (s->current) {
        s->current->life = SEGMENT_SEALED;
        s->current->end = end_before;
    }
    next->life = SEGMENT_CURRENT;
    s->current = next;
}

void spool_store_not_rolled(struct store *s, uint64_t number)
{
    struct segment *next = index_segment(&s->index, number);

    CHECK(next && next->life == SEGMENT_SPARE);
    index_take_segment(&s->index, next);
    put_back(s, next);
}

/* ---- and back */

struct segment *spool_store_releasable(struct store *s)
{
    for (uint32_t i = 0; i < s->index.segment_count; i++)
        if (segment_may_go(s->index.segments[i]))
            return s->index.segments[i];
    return NULL;
}

void spool_store_release_begin(struct store *s, struct segment *segment, struct releasing *p)
{
    segment->life = SEGMENT_LEAVING;
    *p = (struct releasing){.disk = &s->disk, .segment = segment, .stamped = *segment};
}

void spool_store_release_run(struct releasing *p)
{
    p->rc = segment_stamp(p->disk, &p->stamped, 0);
}

void spool_store_release_end(struct store *s, struct releasing *p)
{
    struct segment *segment = p->segment;
    uint64_t number = segment->number;

    if (p->rc < 0 || room_for_free(s) < 0)
        return; /* it stays as it is until the next start */
    index_take_segment(&s->index, segment);
    take_stamp(segment, &p->stamped);
    segment->life = SEGMENT_FREE;
    segment->freed_at = s->number_max;
    s->free[s->free_count++] = segment;
    index_unneed(&s->index, number, UINT64_MAX);
}

struct segment *spool_store_surplus(struct store *s)
{
    for (uint32_t i = 0; s->current && i < s->free_count; i++) {
        if (s->free_count <= FREE_MAX && s->free[i]->size == s->disk.segment_size)
            continue;
        /* The youngest OPEN record must not list it, or its absence would be taken for a loss. */
        if (s->free[i]->freed_at < s->current->number)
            return take_free(s, i);
    }
    return NULL;
}
