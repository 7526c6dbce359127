#include "core/crash/walk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"

enum {
    DAMAGE_EACH = 16,      /* distinct images, of which one is damaged, too */
    RECUT_EACH = 32,       /* of those that recovery makes the same of, one is cut all the same */
    SALT_RECOVERED = 7919, /* hashes of states beside those of images */
};

/* A run of a workload, or of a recovery, that is cut at its boundaries. */
struct run {
    struct walk *walk;
    struct fake_disk *disk;
    struct known *known; /* as the run has it now */
    const char *fault;   /* which sync failed, for people; "" */
    uint64_t boundary;
    bool thorough;
    unsigned depth; /* how often power is still to be lost */
    bool nested, good;
};

static bool cut_recovery(struct run *r, const struct image *i, const struct known *known);

/* ---- one image */

static bool violation(struct run *r, struct fake_disk *again, const struct known *known,
    const struct image *i, const char *why)
{
    struct walk *w = r->walk;
    char survivors[1200] = "";

    if (atomic_exchange(&w->shared->violated, true)) {
        fake_free(again);
        return false; /* one is enough */
    }
    atomic_store(&w->shared->stop, true);
    image_describe(i, survivors, sizeof survivors);
    if (fake_save(again, w->save, known, sizeof *known) < 0)
        printf("crash: %s: cannot be written\n", w->save);
    printf("crash: VIOLATION: %s\ncrash: trace: %s\ncrash: %s%s\ncrash: seed %llu; image: %s, "
           "try again with --replay %s\n",
        why, w->where, survivors, known->damage ? "; and then one place was damaged" : "",
        (unsigned long long)w->seed, w->save, w->save);
    (void)fflush(stdout);
    fake_free(again);
    return false;
}

static bool try_damage(struct run *r, const struct image *i, const struct known *before, uint64_t h)
{
    struct fake_disk *disk = fake_choose(r->disk, i->changes, i->choice), *again;
    struct known known = *before, as_saved;
    uint64_t recovered;
    char why[WHY_MAX];
    bool good = true;

    if (lives_damage(disk, &known, r->walk->misplaced, h)) {
        atomic_fetch_add(&r->walk->shared->damaged, 1);
        again = fake_snapshot(disk);
        as_saved = known;
        good = lives_run(disk, &known, &recovered, why);
        if (good)
            fake_free(again);
        else
            violation(r, again, &as_saved, i, why);
    }
    fake_free(disk);
    return good;
}

static void say_where(struct run *r)
{
    (void)snprintf(r->walk->where, WHERE_MAX, "%s%s, cut before operation %llu on the disk%s",
        r->walk->workload, r->fault, (unsigned long long)r->boundary,
        r->nested ? " of the recovery of an earlier cut" : "");
}

static bool try_image(void *arg, const struct image *i)
{
    struct run *r = arg;
    struct shared *s = r->walk->shared;
    struct fake_disk *disk = fake_choose(r->disk, i->changes, i->choice);
    uint64_t hash = fake_hash(disk) ^ known_hash(r->known) * 3, recovered = 0;
    struct known known = *r->known;
    char why[WHY_MAX];
    bool good = true;

    atomic_fetch_add(&s->images, 1);
    if (shared_is_new(s, hash)) {
        atomic_fetch_add(&s->distinct, 1);
        atomic_fetch_add(&s->nested, r->nested);
        known.tail = (uint32_t)(hash >> 32);
        good = lives_run(disk, &known, &recovered, why);
        if (!good) {
            known = *r->known;
            known.tail = (uint32_t)(hash >> 32);
            violation(r, fake_choose(r->disk, i->changes, i->choice), &known, i, why);
        }
        if (good && (r->walk->misplaced || hash / 7 % DAMAGE_EACH == 0))
            good = try_damage(r, i, r->known, hash);
        if (good && r->depth > 1 &&
            (shared_is_new(s, (recovered ^ known_hash(r->known)) + SALT_RECOVERED) ||
                hash / 5 % RECUT_EACH == 0))
            good = cut_recovery(r, i, r->known);
    }
    fake_free(disk);
    r->good = r->good && good;
    return r->good && !atomic_load(&s->stop);
}

/* ---- boundaries */

static void on_boundary(void *arg)
{
    struct run *r = arg;

    r->boundary++;
    if (!r->good || atomic_load(&r->walk->shared->stop))
        return;
    say_where(r);
    images_each(r->disk, r->walk->seed * 1000003 + r->boundary, r->thorough, try_image, r);
}

/* The recovery of an image is a run as well. */
static bool cut_recovery(struct run *r, const struct image *i, const struct known *before)
{
    struct known known = *before;
    struct run nested = {
        .walk = r->walk,
        .disk = fake_choose(r->disk, i->changes, i->choice),
        .known = &known,
        .fault = r->fault,
        .depth = r->depth - 1,
        .nested = true,
        .good = true,
    };
    struct life *l = MEM_NEW(struct life);

    CHECK(l);
    fake_watch(nested.disk, on_boundary, &nested);
    (void)life_start(l, nested.disk, &known.model); /* it was seen to go well */
    life_end(l);
    mem_free(l);
    fake_watch(nested.disk, NULL, NULL);
    fake_free(nested.disk);
    say_where(r);
    return nested.good;
}

/* ---- a workload */

static bool failed(struct run *r, char operation, int rc)
{
    if (!atomic_exchange(&r->walk->shared->violated, true))
        printf("crash: VIOLATION: %s%s: %c fails without a cut: %s\n", r->walk->workload, r->fault,
            operation, strerror(-rc));
    (void)fflush(stdout);
    atomic_store(&r->walk->shared->stop, true);
    r->good = false;
    return false;
}

static struct life *begin(struct run *r)
{
    struct life *l = MEM_NEW(struct life);
    int rc;

    CHECK(l);
    *r->known = (struct known){0};
    r->disk = fake_new();
    rc = life_start(l, r->disk, &r->known->model);
    CHECK(rc == 0);
    known_began(r->known, l);
    return l;
}

static void end(struct run *r, struct life *l)
{
    fake_watch(r->disk, NULL, NULL);
    life_end(l);
    mem_free(l);
    fake_free(r->disk);
}

/* All operations but the last. False where one of them had nothing to do: then this workload is
 * the same as a shorter one. */
static bool run_prefix(struct run *r, struct life *l)
{
    const char *p = r->walk->workload;

    for (; *p && p[1]; p++) {
        uint64_t before = fake_operations(r->disk);
        int rc = work_do(l, r->known, *p);

        if (rc < 0)
            return failed(r, *p, rc);
        if (fake_operations(r->disk) == before)
            return false;
    }
    return true;
}

static char last_of(const struct walk *w)
{
    return w->workload[strlen(w->workload) - 1];
}

/* The storage failed, and the log goes on elsewhere; then those who waited are told. */
static int after_fault(struct run *r, struct life *l)
{
    int rc = 0;

    if (!spool_log_writable(&l->store.log))
        rc = life_do(l, 'r');
    if (rc < 0)
        rc = life_do(l, 'r');
    if (rc == 0) {
        known_refused(r->known);
        known_promised(r->known, l);
    }
    return rc;
}

/* The n-th sync of the last operation fails. False where it has no such sync. */
static bool walk_fault(struct walk *w, uint64_t n, bool keeps)
{
    struct known known;
    char fault[64];
    struct run r = {.walk = w, .known = &known, .fault = fault, .depth = 1, .good = true};
    struct life *l = begin(&r);
    bool failing = false;
    uint64_t syncs;
    int rc;

    (void)snprintf(
        fault, sizeof fault, ", sync %u of it fails%s", (unsigned)n, keeps ? " and keeps" : "");
    if (run_prefix(&r, l)) {
        syncs = fake_calls(r.disk, FAKE_SYNC);
        fake_sync_keeps(r.disk, keeps);
        fake_fail(r.disk, FAKE_SYNC, n, EIO, false);
        fake_watch(r.disk, on_boundary, &r);
        rc = work_do(l, &known, last_of(w));
        failing = fake_calls(r.disk, FAKE_SYNC) >= syncs + n;
        fake_fail(r.disk, FAKE_SYNC, 0, 0, false);
        if (rc < 0)
            rc = after_fault(&r, l);
        on_boundary(&r);
        if (rc == 0)
            rc = work_do(l, &known, 'a');
        on_boundary(&r);
        if (rc < 0)
            failed(&r, last_of(w), rc);
        atomic_fetch_add(&w->shared->faults, failing);
    }
    end(&r, l);
    return failing && r.good;
}

bool walk_workload(struct walk *w)
{
    struct known known;
    struct run r = {
        .walk = w, .known = &known, .fault = "", .thorough = true, .depth = w->depth, .good = true};
    struct life *l = begin(&r);
    uint64_t before;
    bool worth = run_prefix(&r, l);
    int rc;

    if (worth) {
        before = fake_operations(r.disk);
        fake_watch(r.disk, on_boundary, &r);
        rc = work_do(l, &known, last_of(w));
        if (rc < 0)
            failed(&r, last_of(w), rc);
        worth = fake_operations(r.disk) != before;
        if (worth && r.good)
            on_boundary(&r);
    }
    end(&r, l);
    for (int keeps = 0; worth && r.good && w->faults && keeps < 2; keeps++)
        for (uint64_t n = 1; walk_fault(w, n, keeps); n++)
            ;
    atomic_fetch_add(&w->shared->workloads, worth);
    return !atomic_load(&w->shared->violated);
}

bool walk_replay(const char *path)
{
    struct known *known = MEM_NEW(struct known);
    struct fake_disk *image;
    uint64_t recovered;
    char why[WHY_MAX];
    bool good = false;

    CHECK(known);
    image = fake_load(path, known, sizeof *known);
    if (!image) {
        printf("crash: %s: not an image of this program\n", path);
    } else {
        good = lives_run(image, known, &recovered, why);
        printf("crash: %s: %s\n", path, good ? "no violation" : why);
    }
    fake_free(image);
    mem_free(known);
    return good;
}
