/* Reading what is alive to see whether it is whole: slowly in the background, or all of it for an
 * operator. */
#include <errno.h>
#include <fcntl.h>

#include "base/mem.h"

#include "core/spool/spool_int.h"

static const char ORIGIN[] = "spool";

enum {
    PASS_TICKS = 3600,        /* from the beginning of a pass to the next one's */
    VERIFY_OCTETS = 32 << 20, /* of one call of spool_verify() */
    VERIFY_MESSAGES = 5000,
    VERIFY_PLACES = 1 << 20,
};

void paced_init(struct paced *p)
{
    cond_init(&p->wake);
}

void paced_tick(struct paced *p)
{
    int64_t pace = p->pace < INT64_MAX / 2 ? (int64_t)p->pace : INT64_MAX / 2;

    /* What was not used is not saved up. */
    p->budget = p->budget < 0 ? p->budget + pace : pace;
    cond_wake_all(&p->wake);
}

static void job_run(void *arg)
{
    struct check_job *j = arg;

    j->rc = record_read(j->disk, &j->place, j->keep, &j->copy, &j->bad);
}

int check_run(struct spool *s, struct check_job *j, uint64_t id, struct entry **n, struct err *e)
{
    j->disk = &s->store.disk;
    while ((*n = index_find(&s->store.index, id))) {
        j->place = record_place(*n);
        j->copy = (struct record_copy){0};
        if (pool_run(s->check_pool, job_run, j, e) < 0)
            return 1;
        *n = index_find(&s->store.index, id);
        if (j->rc == 0 || record_still_there(&j->place, *n))
            return j->rc;
    }
    return 0;
}

/* Reads one message; what is damaged is reported. 1: it is. -1: cannot tell. */
static int check_one(struct spool *s, struct check_job *j, uint64_t id, struct err *e)
{
    struct entry *n;
    int rc;

    j->keep = false;
    rc = check_run(s, j, id, &n, e);
    if (rc == 1)
        return -1;
    if (!n)
        return 0;
    if (rc == 0 && n->flags & ENTRY_DAMAGED) { /* the disk could not be read for a while */
        n->flags &= (uint8_t)~ENTRY_DAMAGED;
        n->segment->stuck = false;
        s->stats.damaged--;
    }
    if (rc < 0 && !record_is_damage(rc))
        return spool_error(e, rc, "reading the spool");
    if (rc < 0)
        spool_found_bad(s, &j->place, &j->bad);
    return rc < 0;
}

/* ---- in the background */

static struct entry *next_entry(const struct spool *s, uint32_t *place, uint32_t places)
{
    const struct index *x = &s->store.index;
    struct entry *n = NULL;

    while (!n && *place < x->top && places--)
        n = index_at(x, (*place)++);
    return n;
}

/* A pass is over, or may begin. */
static void turn_over(struct spool *s)
{
    struct scrub *c = &s->scrub;

    if (c->in_pass) {
        c->in_pass = false;
        s->stats.scrub_passes++;
    } else if (!s->stats.scrub_passes || s->ticks - c->began >= PASS_TICKS) {
        c->in_pass = true;
        c->began = s->ticks;
        c->place = 0;
    }
}

void scrub_main(void *arg)
{
    struct spool *s = arg;
    struct scrub *c = &s->scrub;
    struct entry *n;

    while (!s->closing) {
        n = c->in_pass && c->paced.budget > 0 ? next_entry(s, &c->place, UINT32_MAX) : NULL;
        if (n) {
            struct check_job *j = &c->paced.job;

            if (!(n->flags & ENTRY_DAMAGED) && check_one(s, j, n->id, NULL) >= 0) {
                s->stats.scrubbed += j->copy.octets;
                c->paced.budget -= (int64_t)j->copy.octets;
            }
            continue;
        }
        if (c->paced.pace && (!c->in_pass || c->place >= s->store.index.top))
            turn_over(s);
        cond_wait(&c->paced.wake, "spool scrub", NULL);
    }
    c->paced.running = false;
    cond_wake_all(&s->flushed);
}

/* ---- for an operator */

static void describe(const struct check_job *j, struct spool_bad *bad)
{
    *bad = (struct spool_bad){
        .id = j->place.id,
        .segment = j->place.segment,
        .from = j->bad.from,
        .to = j->bad.to,
    };
    if (j->bad.large)
        disk_large_name(bad->file, j->bad.large_file);
    else
        disk_segment_name(bad->file, j->place.file);
}

int spool_verify(struct spool *s, struct spool_verify *v, struct spool_bad *bad, uint32_t max,
    uint32_t *count, struct err *e)
{
    struct check_job *j = MEM_NEW(struct check_job);
    uint64_t octets = v->octets, messages = v->messages;
    struct entry *n;
    int rc = j ? 0 : err_memory(e, ORIGIN);

    *count = 0;
    while (rc == 0 && *count < max && v->octets - octets < VERIFY_OCTETS &&
           v->messages - messages < VERIFY_MESSAGES &&
           (n = next_entry(s, &v->place, VERIFY_PLACES))) {
        rc = check_one(s, j, n->id, e);
        if (rc > 0)
            describe(j, &bad[(*count)++]);
        v->messages++;
        v->octets += j->copy.octets;
        rc = rc < 0 ? -1 : 0;
    }
    v->done = v->place >= s->store.index.top;
    mem_free(j);
    return rc;
}

int spool_check(struct spool *s, uint64_t id, struct spool_bad *bad, struct err *e)
{
    struct check_job *j;
    int rc;

    if (!index_find(&s->store.index, id))
        return err_set(e, ERR_PERMANENT, ORIGIN, "no such message in the spool");
    j = MEM_NEW(struct check_job);
    if (!j)
        return err_memory(e, ORIGIN);
    rc = check_one(s, j, id, e);
    if (rc > 0)
        describe(j, bad);
    mem_free(j);
    return rc;
}

struct aside_job {
    const struct disk *disk;
    struct record_place place;
    char name[96];
    int rc;
};

/* From its first content frame to the end of its commit record; of one that is not known where it
 * ends, a page. */
static void aside_run(void *arg)
{
    struct aside_job *j = arg;
    uint64_t from = j->place.at, to = j->place.at + SPOOL_PAGE;
    struct record_bad bad;
    struct message_head m = {0};
    struct sys_stat st;
    struct frame f;
    char name[32];
    int h;

    disk_segment_name(name, j->place.file);
    h = disk_open(j->disk, name, O_RDONLY);
    if (h >= 0 && record_head(j->disk, h, &j->place, &f, &m, &bad) == 0) {
        from = j->place.at - m.back;
        to = j->place.at + frame_size(&f);
    }
    disk_close(j->disk, h);
    j->rc = disk_quarantine_as(j->disk, name, j->place.segment, from, to, j->name);
    if (j->rc < 0 || !m.large)
        return;
    disk_large_name(name, m.large);
    h = disk_open(j->disk, name, O_RDONLY);
    if (h >= 0 && j->disk->sys->fstat(j->disk->sys, h, &st) == 0)
        disk_quarantine(j->disk, name, m.large_use, 0, st.size);
    disk_close(j->disk, h);
}

int spool_set_aside(struct spool *s, uint64_t id, char name[96], struct err *e)
{
    struct entry *n = index_find(&s->store.index, id);
    struct aside_job *j;
    int rc;

    if (!n)
        return err_set(e, ERR_PERMANENT, ORIGIN, "no such message in the spool");
    j = MEM_NEW(struct aside_job);
    if (!j)
        return err_memory(e, ORIGIN);
    j->disk = &s->store.disk;
    j->place = record_place(n);
    rc = pool_run(s->check_pool, aside_run, j, e);
    if (rc == 0 && j->rc < 0)
        rc = spool_error(e, j->rc, "quarantine");
    memcpy(name, j->name, sizeof j->name);
    mem_free(j);
    return rc;
}
