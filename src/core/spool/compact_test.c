/* Compaction and scrub, with their threads, over a disk in memory. */
#include <errno.h>
#include <stdio.h>

#include "base/table.h"

#include "core/spool/spool_rig.h"
#include "core/spool/verify.h"

enum {
    HELD = 8, /* segments that hold one message each */
    FILLER = 9000,
    WAIT_MS = 30000,
};

static struct spool_stats stats_of(const struct spool *s)
{
    struct spool_stats stats;

    spool_stats(s, &stats);
    return stats;
}

static void defer(struct spool *s, uint64_t id, uint8_t attempts)
{
    struct spool_change c = {
        .kind = SPOOL_OUTCOME,
        .id = id,
        .rcpt = 1,
        .outcome = {.state = SPOOL_DEFERRED, .attempts = attempts, .status = 451, .when = 9},
    };
    struct err e;

    assert_int_equal(spool_change(s, &c, 1, &e), 0);
}

/* Messages 1 to HELD lie in a segment each, between others that have ended. */
static void hold_segments(struct spool *s)
{
    uint64_t filler = 100;

    for (uint64_t id = 1; id <= HELD; id++) {
        struct spool_found f, g;

        must_commit(s, id, 700 * id);
        defer(s, id, (uint8_t)id);
        assert_true(spool_find(s, id, &f));
        do {
            must_commit(s, ++filler, FILLER);
            assert_true(spool_find(s, filler, &g));
            must_end(s, filler);
        } while (g.segment == f.segment);
    }
}

static void wait_compacted(struct spool *s, uint64_t n)
{
    for (unsigned ms = 0; stats_of(s).compacted < n && ms < WAIT_MS; ms += 10)
        fiber_sleep(10, NULL);
    assert_true(stats_of(s).compacted >= n);
}

static void check_held(struct spool *s, uint8_t more)
{
    struct spool_found f;

    for (uint64_t id = 1; id <= HELD; id++) {
        check_message(s, id, 700 * id);
        assert_true(spool_find(s, id, &f));
        assert_int_equal(f.rcpt[1].state, SPOOL_DEFERRED);
        assert_int_equal(f.rcpt[1].attempts, id + more);
        assert_int_equal(f.rcpt[0].state, SPOOL_PENDING);
    }
}

/* Nothing is lost on the way, changes meanwhile count, and the files are free again. */
FIBER_TEST(test_segments_are_emptied)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct spool_stats before;
    struct err e;

    hold_segments(s);
    assert_int_equal(spool_flush(s, &e), 0);
    before = stats_of(s);
    assert_true(before.segments >= HELD);
    for (unsigned i = 0; stats_of(s).moved == 0 && i < WAIT_MS / 10; i++)
        fiber_sleep(10, NULL);
    for (uint64_t id = 1; id <= HELD; id++)
        defer(s, id, (uint8_t)(id + 1));
    assert_int_equal(spool_flush(s, &e), 0);
    wait_compacted(s, HELD / 2);
    check_held(s, 1);
    assert_true(stats_of(s).moved >= HELD / 2);
    assert_int_equal(heard.damaged, 0);
    spool_close(&s);
    s = open_on(f);
    assert_int_equal(heard.recovered, HELD);
    assert_int_equal(stats_of(s).quarantined, 0);
    assert_true(stats_of(s).segments < before.segments);
    check_held(s, 1);
    for (uint64_t id = 1; id <= HELD; id++)
        must_end(s, id);
    spool_close(&s);
    s = open_on(f);
    assert_int_equal(heard.recovered, 0);
    spool_close(&s);
    fake_free(f);
}

/* Fault 11, 13 to 16: storage that fails while segments are emptied loses nothing. */
static void fail_while_compacting(enum fake_call call, uint64_t n, int error)
{
    struct fake_disk *f = fake_new(), *after;
    struct spool *s = open_on(f);
    struct err e;

    hold_segments(s);
    assert_int_equal(spool_flush(s, &e), 0);
    fake_fail(f, call, n, error, false);
    wait_compacted(s, 1);
    fake_fail(f, call, 0, 0, false);
    after = fake_after_cut(f, FAKE_NONE, 0);
    spool_close(&s);
    fake_free(f);
    s = open_on(after);
    assert_int_equal(heard.recovered, HELD);
    check_held(s, 0);
    spool_close(&s);
    fake_free(after);
}

FIBER_TEST(test_storage_fails)
{
    for (uint64_t n = 1; n < 6; n += 2) {
        fail_while_compacting(FAKE_SYNC, n, EIO);
        fail_while_compacting(FAKE_WRITE, n, ENOSPC);
    }
}

/* One octet of the first content that lies in a file: all of them count up in the same way. */
static void damage(struct fake_disk *f)
{
    char name[64];
    size_t size;

    for (unsigned file = 1; file < 40; file++) {
        char *p;

        snprintf(name, sizeof name, "/spool/segment-%04u", file);
        p = fake_file(f, name, &size);
        for (size_t i = 0; p && i + 400 < size; i++) {
            size_t k = 0;

            while (k < 300 && p[i + k] == octet_of(1, k))
                k++;
            if (k == 300) {
                p[i + 200] ^= 1;
                return;
            }
        }
    }
    fail_msg("no content is on the disk");
}

/* Fault 21: the scrub finds it, compaction leaves it where it is, verify names it. */
FIBER_TEST(test_damage_is_found)
{
    struct fake_disk *f = fake_new();
    struct spool_settings settings = settings_for(f);
    struct spool_verify v = {0};
    struct spool_bad bad[4];
    struct spool *s;
    uint32_t count;
    char name[96];
    struct err e;

    memset(&heard, 0, sizeof heard);
    settings.scrub = 1 << 20;
    assert_int_equal(spool_open(&s, &settings, &e), 0);
    hold_segments(s);
    damage(f);
    for (unsigned ms = 0; !heard.damaged && ms < WAIT_MS; ms += 10)
        fiber_sleep(10, NULL);
    assert_int_equal(heard.damaged, 1);
    assert_int_equal(stats_of(s).damaged, 1);
    wait_compacted(s, 1);
    assert_int_equal(spool_verify(s, &v, bad, 4, &count, &e), 0);
    assert_true(v.done);
    assert_int_equal(count, 1);
    assert_int_equal(bad[0].id, 1);
    assert_int_equal(spool_check(s, 2, bad, &e), 0);
    assert_int_equal(spool_set_aside(s, 1, name, &e), 0);
    must_end(s, 1);
    assert_int_equal(stats_of(s).damaged, 0);
    assert_int_equal(heard.damaged, 1);
    spool_close(&s);
    fake_free(f);
}

/* Looking changes nothing, and nothing can be written. */
FIBER_TEST(test_look)
{
    struct fake_disk *f = fake_new();
    struct spool_settings settings = settings_for(f);
    struct spool *s = open_on(f);
    uint64_t operations;
    struct err e;

    must_commit(s, 1, 5000);
    spool_close(&s);
    operations = fake_operations(f);
    settings.look = true;
    settings.scrub = 1 << 20;
    assert_int_equal(spool_open(&s, &settings, &e), 0);
    check_message(s, 1, 5000);
    assert_int_equal(commit(s, 2, 10, &e), -1);
    spool_close(&s);
    /* The directories, which are there, and the lock. */
    assert_true(fake_operations(f) <= operations + 4);
    fake_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_are_emptied),
        cmocka_unit_test(test_storage_fails),
        cmocka_unit_test(test_damage_is_found),
        cmocka_unit_test(test_look),
    };
    const uint8_t key[16] = {1};

    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
