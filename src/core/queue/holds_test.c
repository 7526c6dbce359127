#include "core/queue/holds.h"

#include <errno.h>
#include <stdio.h>

#include "base/mem.h"

#include "run/run_test.h"

#include "io/fake_disk.h"

#define PATH "/queue/holds"

static struct fake_disk *disk;
static struct pool *pool;

static struct holds *open_holds(struct fake_disk *f)
{
    struct holds *h = NULL;

    assert_int_equal(holds_open(&h, fake_sys(f), PATH, NULL), 0);
    return h;
}

static void begin(void)
{
    disk = fake_new();
    assert_non_null(disk);
    fake_sys(disk)->mkdir(fake_sys(disk), "/queue", 0700);
    fake_sys(disk)->sync_dir(fake_sys(disk), "/");
    assert_int_equal(pool_open(&pool, "test", 1, 8, NULL), 0);
}

static void end(void)
{
    pool_close(&pool);
    fake_free(disk);
}

FIBER_TEST(test_rules_hold_and_are_kept)
{
    struct holds *h;

    begin();
    h = open_holds(disk);
    assert_false(holds_match(h, STR("a@x.example"), STR("bob@example.org")));
    assert_int_equal(holds_add(h, pool, STR("Example.org"), STR(""), NULL), 0);
    assert_int_equal(holds_add(h, pool, STR("example.ORG"), STR(""), NULL), 1);
    assert_int_equal(holds_add(h, pool, STR("*@b.example"), STR("<>"), NULL), 0);
    assert_true(holds_match(h, STR("a@x.example"), STR("bob@example.org")));
    assert_true(holds_match(h, STR(""), STR("bob@b.example")));
    assert_false(holds_match(h, STR("a@x.example"), STR("bob@b.example")));
    holds_close(&h);

    h = open_holds(disk);
    assert_int_equal(holds_count(h), 2);
    assert_true(str_eq(holds_get(h, 0)->to, STR("Example.org")));
    assert_int_equal(holds_remove(h, pool, STR("nothing"), STR(""), NULL), 1);
    assert_int_equal(holds_remove(h, pool, STR("example.org"), STR(""), NULL), 0);
    assert_false(holds_match(h, STR("a@x.example"), STR("bob@example.org")));
    holds_close(&h);

    h = open_holds(disk);
    assert_int_equal(holds_count(h), 1);
    holds_close(&h);
    end();
}

/* What was confirmed is there after a cut at any moment, what was not is either. */
FIBER_TEST(test_power_cut)
{
    begin();
    for (uint64_t cut = 1; cut < 40; cut++) {
        struct fake_disk *f = fake_new(), *after;
        const struct sys *sys = fake_sys(f);
        struct holds *h = NULL;
        uint32_t confirmed = 0;

        sys->mkdir(sys, "/queue", 0700);
        sys->sync_dir(sys, "/");
        h = open_holds(f);
        fake_cut_at(f, fake_operations(f) + cut);
        for (uint32_t i = 0; i < 4; i++) {
            char name[32];
            snprintf(name, sizeof name, "d%u.example", i);
            if (holds_add(h, pool, str_c(name), STR(""), NULL) < 0)
                break;
            confirmed++;
        }
        assert_int_equal(holds_count(h), confirmed);
        holds_close(&h);
        for (int how = 0; how < FAKE_IMAGES; how++) {
            after = fake_after_cut(f, (enum fake_image)how, cut);
            h = open_holds(after);
            assert_in_range(holds_count(h), confirmed, confirmed + 1);
            holds_close(&h);
            fake_free(after);
        }
        fake_free(f);
    }
    end();
}

FIBER_TEST(test_full_disk_changes_nothing)
{
    struct holds *h;
    struct err e;

    begin();
    h = open_holds(disk);
    assert_int_equal(holds_add(h, pool, STR("a.example"), STR(""), NULL), 0);
    assert_int_equal(holds_add(h, pool, STR("c.example"), STR(""), NULL), 0);
    fake_fail(disk, FAKE_WRITE, 1, ENOSPC, true);
    assert_int_equal(holds_add(h, pool, STR("b.example"), STR(""), &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_int_equal(holds_remove(h, pool, STR("a.example"), STR(""), &e), -1);
    assert_int_equal(holds_count(h), 2);
    assert_true(holds_match(h, STR(""), STR("x@a.example")));
    assert_true(holds_match(h, STR(""), STR("x@c.example")));
    holds_close(&h);
    end();
}

/* Every octet that is changed is noticed: mail that is to be held must not go. */
FIBER_TEST(test_damage)
{
    struct holds *h;
    char *file;
    size_t n;

    begin();
    h = open_holds(disk);
    assert_int_equal(holds_add(h, pool, STR("a.example"), STR("b@*"), NULL), 0);
    holds_close(&h);
    file = fake_file(disk, PATH, &n);
    assert_non_null(file);
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        file[i] ^= 1;
        assert_int_equal(holds_open(&h, fake_sys(disk), PATH, &e), -1);
        assert_int_equal(e.class, ERR_PERMANENT);
        file[i] ^= 1;
    }
    h = open_holds(disk);
    assert_int_equal(holds_count(h), 1);
    holds_close(&h);
    end();
}

FIBER_TEST(test_bad_patterns)
{
    struct holds *h;
    struct err e;

    begin();
    h = open_holds(disk);
    assert_int_equal(holds_add(h, pool, STR(""), STR(""), &e), -1);
    assert_int_equal(holds_add(h, pool, STR("a\tb"), STR(""), &e), -1);
    assert_int_equal(holds_add(h, pool, STR("a"), STR("b\n"), &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    holds_close(&h);
    assert_false(holds_match(NULL, STR(""), STR("x@a.example")));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_hold_and_are_kept),
        cmocka_unit_test(test_power_cut),
        cmocka_unit_test(test_full_disk_changes_nothing),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bad_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
