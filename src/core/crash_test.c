/* Power cuts with spool, queue, mailboxes and directory on one disk: DURABILITY.md section 3.
 *
 * A workload is run once; before each operation on the disk the disk and the model are kept. Then
 * each of those moments is cut: images of what may have survived are recovered by the core itself,
 * compared with the model, worked on, and some recovered again with cuts of the recovery.
 *
 * The environment makes it longer (docs/durability-tests.md): VEREDUS_CRASH_IMAGES,
 * VEREDUS_CRASH_SEED, VEREDUS_CRASH_WORKLOAD, VEREDUS_CRASH_COMPLETE; VEREDUS_CRASH_SAVE names the
 * file for a failing image, VEREDUS_CRASH_REPLAY one that is tried again.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/table.h"

#include "run/run_test.h"

#include "core/crash_life.h"

enum {
    MOMENTS = 4096, /* of a run */
    WORKLOAD_MAX = 12,
    NEST_EACH = 40, /* images whose recovery is cut as well */
    NEST_IMAGES = 6,
#ifdef VEREDUS_SANITIZED
    IMAGES = 120, /* in all */
#else
    IMAGES = 600,
#endif
};

static const char *const workloads[] = {"abi", "grc", "blri", "mmimr", "ancb", "bibcgi"};
static const char letters[] = "abmlgrcin";

static struct totals {
    uint64_t images, distinct, most;
    struct table seen; /* hashes of images, with their models */
} totals;

static struct fake_disk *first_disk;

/* ---- moments */

struct moment {
    struct fake_disk *disk;
    struct crash_model model;
};

struct moments {
    struct fake_disk *disk;
    const struct crash_model *model; /* as the run has it */
    uint32_t count;
    struct moment v[MOMENTS];
};

static void keep_moment(void *arg)
{
    struct moments *m = arg;

    assert_true(m->count < MOMENTS);
    m->v[m->count++] = (struct moment){fake_snapshot(m->disk), *m->model};
}

static void moments_free(struct moments *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        fake_free(m->v[i].disk);
    mem_free(m);
}

/* ---- images */

struct cut {
    struct moment *moment;
    uint32_t number; /* of the moment */
    enum fake_image how;
    uint64_t seed;
    const char *operations; /* of the run, for people */
    bool nested;
};

struct hash {
    uint64_t value;
};

static struct str hash_key(const void *entry)
{
    const struct hash *h = entry;

    return str_of((const char *)&h->value, sizeof h->value);
}

static void forget_hashes(void)
{
    struct hash *h;

    for (size_t i = 0; (h = table_next(&totals.seen, &i));)
        mem_free(h);
    table_done(&totals.seen);
}

static bool is_new(struct fake_disk *image, const struct crash_model *model)
{
    static const uint8_t key[16] = {9};
    struct hash *h = mem_alloc(sizeof *h);

    assert_non_null(h);
    h->value = fake_hash(image) ^ siphash13(key, str_of((const char *)model, sizeof *model));
    if (table_add(&totals.seen, h) == 0)
        return true;
    mem_free(h);
    return false;
}

static void violation(const struct cut *c, const char *why)
{
    const char *path = getenv("VEREDUS_CRASH_SAVE");
    struct fake_disk *image = fake_after_cut(c->moment->disk, c->how, c->seed);

    if (!path)
        path = "crash.image";
    if (fake_save(image, path, &c->moment->model, sizeof c->moment->model) < 0)
        path = "(not saved)";
    fail_msg("%s%s: moment %u, image %d.%llu: %s\nimage: %s", c->nested ? "recovery after " : "",
        c->operations, c->number, (int)c->how, (unsigned long long)c->seed, why, path);
}

/* Recovery, check, more work, check. */
static int live(struct fake_disk *disk, struct crash_model *model, char why[256])
{
    struct crash_life l;
    int rc = crash_start(&l, disk, model);

    if (rc == 0) {
        rc = crash_check(&l);
        if (rc == 0 && model->count + 2 < CRASH_MAIL)
            rc = crash_do(&l, 'b');
        if (rc == 0)
            rc = crash_check(&l);
        crash_end(&l);
    }
    memcpy(why, l.why, sizeof l.why);
    return rc;
}

static void cut_all(struct moments *m, const char *operations, uint64_t images, bool nested);

/* The recovery of an image is a run as well, with nothing acknowledged but what was before. */
static void cut_recovery(const struct cut *c)
{
    struct moments *m = mem_zalloc(sizeof *m);
    struct crash_model model = c->moment->model;
    struct crash_life l;

    assert_non_null(m);
    m->disk = fake_after_cut(c->moment->disk, c->how, c->seed);
    m->model = &model;
    fake_watch(m->disk, keep_moment, m);
    if (crash_start(&l, m->disk, &model) < 0 || crash_do(&l, 'i') < 0)
        violation(c, l.why);
    crash_end(&l);
    fake_free(m->disk);
    cut_all(m, c->operations, NEST_IMAGES, true);
    moments_free(m);
}

static void try_cut(const struct cut *c)
{
    struct fake_disk *image = fake_after_cut(c->moment->disk, c->how, c->seed);
    struct crash_model model = c->moment->model;
    char why[256];

    totals.images++;
    if (is_new(image, &model)) {
        totals.distinct++;
        if (live(image, &model, why) < 0)
            violation(c, why);
        if (!c->nested && totals.distinct % NEST_EACH == 0)
            cut_recovery(c);
    }
    fake_free(image);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

/* Images of all moments, each time of another kind, until there have been enough new ones. */
static void cut_all(struct moments *m, const char *operations, uint64_t images, bool nested)
{
    uint64_t until = totals.distinct + images, tries = 8 * images;
    uint32_t offset = m->count ? (uint32_t)(mix(totals.images) % m->count) : 0;

    for (uint64_t n = 0; m->count && n < tries && totals.distinct < until; n++) {
        uint64_t round = n / m->count, step = 0x9e3779b1U;
        uint32_t number = (uint32_t)((n * step + offset) % m->count);

        try_cut(&(struct cut){
            .moment = &m->v[number],
            .number = number,
            .how = (enum fake_image)((round + number) % FAKE_ALL_IMAGES),
            .seed = mix(n + 1) % 1000003,
            .operations = operations,
            .nested = nested,
        });
    }
}

/* How many seeds of a kind say something new. */
static uint64_t seeds_of(enum fake_image how, uint64_t pending)
{
    switch (how) {
    case FAKE_NONE:
    case FAKE_ALL:
        return 1;
    case FAKE_PREFIX:
    case FAKE_ONE:
    case FAKE_BUT_ONE:
        return pending;
    case FAKE_SOME:
    case FAKE_TORN:
    case FAKE_ALL_IMAGES:
        break;
    }
    return 12;
}

/* All images of all moments: those with a choice by a dozen seeds. */
static void cut_completely(struct moments *m, const char *operations)
{
    for (uint32_t number = 0; number < m->count; number++) {
        uint64_t pending = fake_pending(m->v[number].disk);

        for (enum fake_image how = 0; how < FAKE_ALL_IMAGES; how++)
            for (uint64_t seed = 0; seed < seeds_of(how, pending); seed++)
                try_cut(&(struct cut){.moment = &m->v[number],
                    .number = number,
                    .how = how,
                    .seed = seed,
                    .operations = operations});
    }
}

/* ---- workloads */

enum {
    COMPLETELY = UINT32_MAX,
};

static void run_workload(const char *operations, uint64_t images)
{
    struct moments *m = mem_zalloc(sizeof *m);
    struct crash_model model = {0};
    struct crash_life l;
    int rc;

    assert_non_null(m);
    m->disk = fake_after_cut(first_disk, FAKE_ALL, 0);
    m->model = &model;
    fake_watch(m->disk, keep_moment, m);
    rc = crash_start(&l, m->disk, &model);
    for (const char *p = operations; rc == 0 && *p; p++)
        rc = crash_do(&l, *p);
    if (rc < 0)
        fail_msg("%s, without a cut: %s", operations, l.why);
    crash_end(&l);
    fake_free(m->disk);
    if (images == COMPLETELY)
        cut_completely(m, operations);
    else
        cut_all(m, operations, images, false);
    moments_free(m);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void replay(const char *path)
{
    struct crash_model model;
    struct fake_disk *image = fake_load(path, &model, sizeof model);
    char why[256];

    if (!image)
        fail_msg("%s: not an image", path);
    if (live(image, &model, why) < 0)
        fail_msg("%s: %s", path, why);
    fake_free(image);
}

static void run_pairs(uint64_t images)
{
    for (const char *a = letters; *a; a++)
        for (const char *b = letters; *b; b++)
            if (images == COMPLETELY || totals.distinct < totals.most)
                run_workload((char[3]){*a, *b}, images);
}

static void run_random(uint64_t seed, uint64_t images)
{
    while (totals.distinct < totals.most) {
        char operations[WORKLOAD_MAX + 1] = "";
        size_t n = 3 + mix(seed) % (WORKLOAD_MAX - 2);

        for (size_t i = 0; i < n; i++)
            operations[i] = letters[mix(seed * 977 + i) % (sizeof letters - 1)];
        run_workload(operations, images);
        seed++;
    }
}

FIBER_TEST(test_cut)
{
    const char *one = getenv("VEREDUS_CRASH_WORKLOAD"), *file = getenv("VEREDUS_CRASH_REPLAY");
    size_t count = sizeof workloads / sizeof *workloads;

    if (file) {
        replay(file);
        return;
    }
    totals.most = number_of("VEREDUS_CRASH_IMAGES", IMAGES);
    table_init(&totals.seen, hash_key, 1 << 26);
    first_disk = crash_first_disk();
    if (getenv("VEREDUS_CRASH_COMPLETE")) {
        if (one)
            run_workload(one, COMPLETELY);
        else
            run_pairs(COMPLETELY);
    } else if (one) {
        run_workload(one, totals.most);
    } else {
        for (size_t i = 0; i < count; i++)
            run_workload(workloads[i], (totals.most < 10 * IMAGES ? totals.most : IMAGES) / count);
        if (totals.most > IMAGES) {
            run_pairs((totals.most - IMAGES) / 2 / ((sizeof letters - 1) * (sizeof letters - 1)));
            run_random(number_of("VEREDUS_CRASH_SEED", 1), 2000);
        }
    }
    printf("core_crash: %llu distinct images of %llu, no violation\n",
        (unsigned long long)totals.distinct, (unsigned long long)totals.images);
    forget_hashes();
    fake_free(first_disk);
}

int main(void)
{
    static const uint8_t key[16] = {1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
    };

    /* Images and threads come and go by the thousand: their memory should not. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_ARENA_MAX, 1);
    table_seed(key);
    log_open(&(struct log_settings){.fd = 2, .level = LOG_ERROR, .process = "test"});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
