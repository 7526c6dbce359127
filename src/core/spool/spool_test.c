/* The spool with its threads, over a disk in memory. */
#include "core/spool/spool.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/table.h"

#include "core/spool/spool_rig.h"

static const size_t sizes[] = {0, 1, 100, 10240, 65536, 65537, 150000};

FIBER_TEST(test_kept)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    uint64_t epoch = spool_epoch(s);
    struct spool_stats stats;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        must_commit(s, i + 1, sizes[i]);
        check_message(s, i + 1, sizes[i]); /* from memory */
    }
    must_end(s, 2);
    spool_close(&s);
    assert_int_equal(heard.released, sizeof sizes / sizeof *sizes);
    s = open_on(f);
    assert_true(spool_epoch(s) > epoch);
    assert_int_equal(heard.recovered, sizeof sizes / sizeof *sizes - 1);
    assert_false(heard.alive[2]);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (i + 1 != 2)
            check_message(s, i + 1, sizes[i]); /* from disk */
    spool_stats(s, &stats);
    assert_int_equal(stats.quarantined, 0);
    assert_int_equal(stats.torn, 0);
    spool_close(&s);
    fake_free(f);
}

/* A failed recipient's outcome and its DSN are one commit (DURABILITY.md section 2, 6). */
FIBER_TEST(test_batch)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct spool_change changes[2] = {
        {.kind = SPOOL_OUTCOME, .id = 1, .rcpt = 1, .outcome = {.state = SPOOL_FAILED}},
        {.kind = SPOOL_END, .id = 1},
    };
    struct spool_change unknown = {.kind = SPOOL_END, .id = 77};
    struct spool_message *dsn = message(2, 300);
    struct err e;

    must_commit(s, 1, 500);
    assert_int_equal(spool_commit(s, &dsn, 1, changes, 2, SPOOL_OWN, &e), 0);
    assert_int_equal(commit(s, 2, 10, &e), -1); /* the id is taken */
    dsn = message(3, 10);
    assert_int_equal(spool_commit(s, &dsn, 1, &unknown, 1, SPOOL_OWN, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    spool_close(&s);
    s = open_on(f);
    assert_int_equal(heard.recovered, 1);
    assert_true(heard.alive[2]);
    spool_close(&s);
    fake_free(f);
}

FIBER_TEST(test_outcomes)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct spool_change c = {
        .kind = SPOOL_OUTCOME,
        .id = 1,
        .rcpt = 1,
        .outcome = {.state = SPOOL_DEFERRED, .attempts = 3, .status = 451, .when = 77},
    };
    struct spool_found found;
    struct err e;

    must_commit(s, 1, 500);
    assert_int_equal(spool_change(s, &c, 1, &e), 0);
    c.rcpt = 2;
    assert_int_equal(spool_change(s, &c, 1, &e), -1);
    assert_int_equal(spool_flush(s, &e), 0);
    spool_close(&s);
    s = open_on(f);
    assert_true(spool_find(s, 1, &found));
    assert_int_equal(found.rcpt[0].state, SPOOL_PENDING);
    assert_int_equal(found.rcpt[1].state, SPOOL_DEFERRED);
    assert_int_equal(found.rcpt[1].attempts, 3);
    assert_int_equal(found.rcpt[1].status, 451);
    assert_int_equal(found.rcpt[1].when, 77);
    spool_close(&s);
    fake_free(f);
}

/* Content whose owner knows its checksum is not accepted altered. */
FIBER_TEST(test_checksum)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct spool_message *m = message(1, 70000);
    struct err e;

    m->has_crc = true;
    m->content_crc = crc32c_extend(crc32c(m->content[0]), m->content[1]) ^ 1;
    assert_int_equal(spool_commit(s, &m, 1, NULL, 0, SPOOL_MAIL, &e), -1);
    assert_int_equal(e.class, ERR_BUG);
    m = message(1, 70000);
    m->has_crc = true;
    m->content_crc = crc32c_extend(crc32c(m->content[0]), m->content[1]);
    assert_int_equal(spool_commit(s, &m, 1, NULL, 0, SPOOL_MAIL, &e), 0);
    check_message(s, 1, 70000);
    spool_close(&s);
    fake_free(f);
}

/* Segments go round: far more is written than is ever on the disk. */
FIBER_TEST(test_recycling)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct spool_stats stats;

    must_commit(s, 1, 1000); /* stays, and holds its segment */
    for (uint64_t id = 2; id < 400; id++) {
        must_commit(s, id, 10000);
        must_end(s, id);
    }
    spool_stats(s, &stats);
    assert_int_equal(stats.messages, 1);
    assert_true(stats.recycled >= 4);
    assert_true(stats.segments + stats.free_segments <= 12);
    spool_close(&s);
    s = open_on(f);
    assert_int_equal(heard.recovered, 1);
    check_message(s, 1, 1000);
    spool_close(&s);
    fake_free(f);
}

FIBER_TEST(test_large)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct spool_large *l = NULL, *gone = NULL;
    struct spool_message *m = message(1, 0);
    char *piece = mem_alloc(40000);
    size_t n = 0;
    struct err e;

    assert_int_equal(spool_large_begin(s, &l, &e), 0);
    for (int i = 0; i < 10; i++) {
        for (size_t k = 0; k < 40000; k++)
            piece[k] = octet_of(1, n + k);
        assert_int_equal(spool_large_write(l, str_of(piece, 40000), &e), 0);
        n += 40000;
    }
    assert_int_equal(spool_large_finish(l, &e), 0);
    m->pieces = 0;
    m->large = l;
    assert_int_equal(spool_commit(s, &m, 1, NULL, 0, SPOOL_MAIL, &e), 0);
    check_message(s, 1, n);
    assert_int_equal(spool_large_begin(s, &gone, &e), 0);
    assert_int_equal(spool_large_write(gone, str_of(piece, 40000), &e), 0);
    spool_large_abort(&gone);
    spool_close(&s);
    s = open_on(f);
    check_message(s, 1, n);
    must_end(s, 1);
    spool_close(&s);
    assert_non_null(fake_file(f, "/spool/large/00000001", &n));
    assert_int_equal(n, 0);
    mem_free(piece);
    fake_free(f);
}

/* ---- giving up */

struct waiter {
    struct spool *s;
    int rc;
    struct err e;
};

static void wait_commit(void *arg)
{
    struct waiter *w = arg;

    w->rc = commit(w->s, 9, 1000, &w->e);
}

/* A committer that is cancelled leaves a message that is whole and known all the same. */
FIBER_TEST(test_cancelled)
{
    struct fake_disk *f = fake_new();
    struct spool *s = open_on(f);
    struct waiter w = {.s = s};
    struct scope scope;

    scope_init(&scope);
    assert_int_equal(fiber_start(&scope, "committer", wait_commit, &w, NULL), 0);
    scope_cancel(&scope);
    scope_join(&scope);
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.e.class, ERR_CANCELLED);
    assert_int_equal(spool_flush(s, NULL), 0);
    assert_true(heard.alive[9]);
    check_message(s, 9, 1000);
    spool_close(&s);
    fake_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_recycling),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_cancelled),
    };
    const uint8_t key[16] = {1};

    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
