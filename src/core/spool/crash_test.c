/* Power cuts at every operation, without threads: DURABILITY.md section 3, faults 5 to 10. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/unit_test.h"

#include "core/spool/crash_work.h"
#include "core/spool/fake_life.h"

enum {
#ifdef VEREDUS_SANITIZED
    SEEDS = 1,
    NEST_EACH = 21,
#else
    SEEDS = 4,     /* of each image with a random choice */
    NEST_EACH = 7, /* cuts whose images are also cut while they are recovered */
#endif
    PREFIXES = 2 * SEEDS + 2,
    WIDE = 256 << 10, /* a segment for messages of several frames */
};

static uint64_t segment;

static void cut_recovery(
    struct fake_disk *image, const struct model *model, unsigned depth, const char *why);

/* Recovers an image, checks it, works on, and recovers again. */
static void recover_image(
    struct fake_disk *image, const struct model *model, unsigned depth, const char *why)
{
    struct model m = *model;
    struct life life = {.segment = segment};

    if (depth)
        cut_recovery(image, model, depth - 1, why);
    assert_int_equal(life_start(&life, image, &m), 0);
    life_check(&life, why);
    assert_int_equal(life_run(&life, "arfdof"), 0);
    life_end(&life);
    assert_int_equal(life_start(&life, image, &m), 0);
    life_check(&life, why);
    life_end(&life);
    fake_free(image);
}

/* What the disk may hold now; of a recovery that was cut, one image of each kind. */
static void each_image(
    struct fake_disk *disk, const struct model *model, unsigned depth, bool nested, const char *why)
{
    char what[160];

    for (int how = 0; how < FAKE_IMAGES; how++) {
        unsigned seeds = nested ? 1 : how == FAKE_PREFIX ? PREFIXES : how > FAKE_PREFIX ? SEEDS : 1;

        for (unsigned seed = 0; seed < seeds; seed++) {
            snprintf(what, sizeof what, "%s, image %d.%u", why, how, seed);
            recover_image(fake_after_cut(disk, how, seed), model, depth, what);
        }
    }
}

/* Fault 9: recovery itself is cut, at every operation of it. */
static void cut_recovery(
    struct fake_disk *image, const struct model *model, unsigned depth, const char *why)
{
    for (uint64_t cut = 1;; cut++) {
        struct fake_disk *disk = fake_after_cut(image, FAKE_ALL, 0);
        struct model m = *model;
        struct life life = {.segment = segment};
        char what[160];
        int rc;

        fake_cut_at(disk, cut);
        rc = life_start(&life, disk, &m);
        life_end(&life);
        snprintf(what, sizeof what, "%.120s, recovery cut at %u", why, (unsigned)cut);
        if (rc < 0)
            each_image(disk, model, depth, true, what);
        fake_free(disk);
        if (rc == 0)
            break;
    }
}

static void test_cut(void **state)
{
    (void)state;
    for (size_t w = 0; crash_work[w]; w++) {
        uint64_t cut = 0;
        int rc;

        segment = strpbrk(crash_work[w], "ml") ? WIDE : 0;
        do {
            struct fake_disk *disk = fake_new();
            struct model model = {0};
            struct life life = {.segment = segment};
            char why[80];

            fake_cut_at(disk, ++cut);
            rc = life_start(&life, disk, &model);
            if (rc == 0)
                rc = life_run(&life, crash_work[w]);
            life_end(&life);
            snprintf(why, sizeof why, "%s, cut at %u", crash_work[w], (unsigned)cut);
            each_image(disk, &model, cut % NEST_EACH == 0, false, why);
            fake_free(disk);
        } while (rc < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
    };

    /* Images come and go by the ten thousand: their memory should not. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
