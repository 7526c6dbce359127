/* The spool over a disk in memory that fails on command, and without memory. */
#include <errno.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/table.h"

#include "core/spool/spool.h"
#include "core/spool/spool_rig.h"

/* ---- storage that fails: faults 11 to 18 */

/* Commits until the end of the world at call n, then opens what is on the disk after a power cut.
 * What was confirmed is there, what was refused is not. */
static void fail_at(enum fake_call call, uint64_t n, int error, bool lasting, bool keeps)
{
    struct fake_disk *f = fake_new(), *after, *at_once = NULL;
    struct spool *s = open_on(f);
    bool confirmed[40] = {0};
    uint64_t refused = 0;
    struct err e;

    must_commit(s, 1, 3000);
    confirmed[1] = true;
    fake_sync_keeps(f, keeps);
    fake_fail(f, call, n, error, lasting);
    for (uint64_t id = 2; id < 40; id++) {
        confirmed[id] = commit(s, id, 9000, &e) == 0;
        if (confirmed[id])
            continue;
        assert_int_equal(e.status.class, 4);
        if (refused)
            continue;
        refused = id;
        at_once = fake_after_cut(f, FAKE_ALL, 0);
    }
    fake_fail(f, call, 0, 0, false);
    after = fake_after_cut(f, FAKE_NONE, n);
    spool_close(&s);
    fake_free(f);
    s = open_on(after);
    for (uint64_t id = 1; id < 40; id++) {
        if (confirmed[id])
            check_message(s, id, id == 1 ? 3000 : 9000);
        else if (!lasting && heard.alive[id])
            fail_msg("call %d.%u: %u was refused and is there", call, (unsigned)n, (unsigned)id);
    }
    spool_close(&s);
    fake_free(after);
    if (at_once && !lasting) {
        s = open_on(at_once);
        if (heard.alive[refused])
            fail_msg("call %d.%u: %u was refused too early", call, (unsigned)n, (unsigned)refused);
        spool_close(&s);
    }
    fake_free(at_once);
}

FIBER_TEST(test_sync_fails)
{
    for (uint64_t n = 1; n <= 50; n++) {
        fail_at(FAKE_SYNC, n, EIO, false, n % 2);
        if (n % 5 == 0)
            fail_at(FAKE_SYNC, n, EIO, true, false);
    }
}

FIBER_TEST(test_write_fails)
{
    for (uint64_t n = 1; n <= 50; n++) {
        fail_at(FAKE_WRITE, n, n % 2 ? ENOSPC : EIO, false, true);
        if (n % 5 == 0)
            fail_at(FAKE_WRITE, n, ENOSPC, true, true);
    }
}

FIBER_TEST(test_short_writes)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);

    fake_short_writes(f, true);
    for (uint64_t id = 1; id < 30; id++)
        must_commit(s, id, 11111);
    spool_close(&s);
    s = open_on(f);
    for (uint64_t id = 1; id < 30; id++)
        check_message(s, id, 11111);
    spool_close(&s);
    fake_free(f);
}

/* The disk fills: mail is refused with 452 4.3.1, deliveries are still recorded, and service comes
 * back by itself (fault 14). */
FIBER_TEST(test_full)
{
    struct fake_disk *f = fake_new();
    struct spool *s;
    uint64_t id = 1;
    struct err e;

    fake_space(f, 6 * SEGMENT);
    s = open_on(f);
    while (commit(s, id, 20000, &e) == 0)
        assert_true(++id < IDS);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_int_equal(e.status.subject * 10 + e.status.detail, 31);
    assert_true(id > 20);
    assert_int_equal(heard.state, SPOOL_FULL);
    for (uint64_t k = 1; k < id; k++) {
        check_message(s, k, 20000);
        must_end(s, k);
    }
    while (heard.state != SPOOL_READY) /* by itself, within a second or two */
        cond_wait(&heard.state_changed, "state", NULL);
    must_commit(s, id + 1, 20000);
    spool_close(&s);
    fake_free(f);
}

/* Storage that fails for good: commits are refused, what is there can be read, changes that nobody
 * waits for wait; and when it works again all goes on by itself (fault 18). */
FIBER_TEST(test_broken)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct spool_change c = {
        .kind = SPOOL_OUTCOME, .id = 1, .outcome = {.state = SPOOL_DEFERRED, .attempts = 9}};
    struct spool_found found;
    struct err e;

    must_commit(s, 1, 5000);
    fake_fail(f, FAKE_SYNC, 1, EROFS, true);
    assert_int_equal(commit(s, 2, 5000, &e), -1);
    assert_int_equal(e.status.subject * 10 + e.status.detail, 30);
    assert_int_equal(spool_change(s, &c, 1, &e), 0);
    while (heard.state != SPOOL_BROKEN)
        cond_wait(&heard.state_changed, "state", NULL);
    assert_int_equal(commit(s, 3, 5000, &e), -1);
    check_message(s, 1, 5000);
    fake_fail(f, FAKE_SYNC, 0, 0, false);
    while (heard.state != SPOOL_READY)
        cond_wait(&heard.state_changed, "state", NULL);
    must_commit(s, 4, 5000);
    spool_close(&s);
    s = open_on(f);
    assert_int_equal(heard.recovered, 2);
    assert_true(spool_find(s, 1, &found));
    assert_int_equal(found.rcpt[0].attempts, 9);
    spool_close(&s);
    fake_free(f);
}

/* A disk that cannot be read at delivery (fault 20): said so once, and the message stays. */
FIBER_TEST(test_unreadable)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    char *heap = mem_alloc(5000);
    struct spool_found found;
    size_t got;
    struct err e;

    must_commit(s, 1, 5000);
    spool_close(&s);
    s = open_on(f);
    fake_fail(f, FAKE_READ, 2, EIO, false);
    assert_int_equal(spool_read(s, 1, SPOOL_CONTENT, 0, heap, 5000, &got, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    assert_int_equal(heard.damaged, 1);
    assert_true(spool_find(s, 1, &found));
    check_message(s, 1, 5000);
    spool_close(&s);
    mem_free(heap);
    fake_free(f);
}

/* A second after the last group a mark follows it. From then on damage to that group is known from
 * a group that power has cut, which nobody was told of. */
FIBER_TEST(test_marked)
{
    struct fake_disk *f = fake_new(), *after;
    struct spool *s = open_on(f);
    char *p, *heap = mem_alloc(20000);
    struct spool_stats stats;
    size_t n, got;
    struct err e;

    must_commit(s, 1, 10000);
    do {
        fiber_sleep(10, NULL);
        spool_stats(s, &stats);
    } while (stats.groups < 3); /* the segment's first, the message's, the mark */
    after = fake_after_cut(f, FAKE_NONE, 0);
    spool_close(&s);
    fake_free(f);
    p = fake_file(after, "/spool/segment-0001", &n);
    p = memmem(p, n, "bcdefghijk", 10);
    assert_non_null(p);
    p[3] ^= 4;
    s = open_on(after);
    assert_int_equal(heard.recovered, 1);
    assert_int_equal(spool_read(s, 1, SPOOL_CONTENT, 0, heap, 20000, &got, &e), -1);
    assert_int_equal(heard.damaged, 1);
    spool_close(&s);
    mem_free(heap);
    fake_free(after);
}

/* A message that is damaged on the disk is never given out (fault 20, R10). */
FIBER_TEST(test_damaged)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    char *p, *heap = mem_alloc(20000);
    size_t n, got;
    struct err e;

    must_commit(s, 1, 10000);
    must_commit(s, 2, 10000);
    spool_close(&s);
    p = fake_file(f, "/spool/segment-0001", &n);
    p = memmem(p, n, "bcdefghijk", 10); /* in a content */
    assert_non_null(p);
    p[3] ^= 4;
    s = open_on(f);
    assert_int_equal(heard.recovered, 2);
    n = spool_read(s, 1, SPOOL_CONTENT, 0, heap, 20000, &got, &e) < 0;
    n += spool_read(s, 2, SPOOL_CONTENT, 0, heap, 20000, &got, &e) < 0;
    assert_int_equal(n, 1);
    assert_int_equal(heard.damaged, 1);
    spool_close(&s);
    mem_free(heap);
    fake_free(f);
}

/* ---- no memory: fault 26 */

/* One life in which the n-th allocation of the loop's thread fails. Returns the allocations made.
 */
static uint64_t live_without(struct fake_disk *f, uint64_t n, bool *confirmed)
{
    struct spool_settings settings = settings_for(f);
    struct spool_change c = {.kind = SPOOL_OUTCOME, .id = 1, .outcome = {.state = SPOOL_FAILED}};
    struct spool_large *l = NULL;
    struct spool *s = NULL;
    struct spool_message *m;
    struct buf b;
    struct err e;

    buf_init(&b, 1 << 20);
    mem_fail_at(n);
    if (spool_open(&s, &settings, &e) == 0) {
        for (uint64_t id = 1; id <= 4; id++)
            confirmed[id] = commit(s, id, 10000, &e) == 0;
        spool_change(s, &c, 1, &e);
        spool_load(s, 1, SPOOL_CONTENT, &b, &e);
        m = message(5, 0);
        if (m && spool_large_begin(s, &l, &e) == 0 && spool_large_write(l, STR("ab"), &e) == 0 &&
            spool_large_finish(l, &e) == 0) {
            m->pieces = 0;
            m->large = l;
            confirmed[5] = spool_commit(s, &m, 1, NULL, 0, SPOOL_MAIL, &e) == 0;
        } else {
            mem_free(m);
            spool_large_abort(&l);
        }
        spool_close(&s);
    }
    buf_done(&b);
    return mem_fail_at(0);
}

FIBER_TEST(test_memory)
{
    uint64_t allocations, n = 0;

    do {
        struct fake_disk *f = fake_new();
        bool confirmed[6] = {0};
        struct spool *s;

        allocations = live_without(f, ++n, confirmed);
        s = open_on(f);
        for (uint64_t id = 1; id <= 5; id++)
            if (confirmed[id] && !heard.alive[id])
                fail_msg("allocation %u: message %u is lost", (unsigned)n, (unsigned)id);
        spool_close(&s);
        fake_free(f);
    } while (allocations >= n);
    assert_true(n > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_short_writes),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_marked),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_memory),
    };
    const uint8_t key[16] = {1};

    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
