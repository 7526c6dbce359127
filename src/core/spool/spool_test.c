/* The spool with its threads: over a disk in memory that fails on command, and over a real one. */
#include "core/spool/spool.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/table.h"

#include "run/run_test.h"

#include "core/spool/fake_disk.h"
#include "core/spool/format.h"

enum {
    SEGMENT = 256 << 10,
    IDS = 4096,
};

/* What the callbacks said. */
static struct heard {
    unsigned live, recovered, damaged, released;
    enum spool_state state;
    bool alive[IDS];
} heard;

static int on_live(void *arg, const struct spool_found *f)
{
    (void)arg;
    heard.live++;
    heard.recovered += f->recovered;
    if (f->id < IDS)
        heard.alive[f->id] = true;
    return 0;
}

static void on_state(void *arg, enum spool_state state)
{
    (void)arg;
    heard.state = state;
}

static void on_damage(void *arg, const struct spool_damage *d)
{
    (void)arg;
    (void)d;
    heard.damaged++;
}

static struct spool_settings settings_for(struct fake_disk *f)
{
    return (struct spool_settings){
        .sys = fake_sys(f),
        .path = "/spool",
        .segment = SEGMENT,
        .reserve = SEGMENT,
        .on_live = on_live,
        .on_state = on_state,
        .on_damage = on_damage,
    };
}

static struct spool *open_on(struct fake_disk *f)
{
    struct spool_settings settings = settings_for(f);
    struct spool *s = NULL;
    struct err e;

    memset(&heard, 0, sizeof heard);
    if (spool_open(&s, &settings, &e) < 0)
        fail_msg("open: %s", e.text);
    return s;
}

/* ---- messages */

struct message {
    struct spool_message m;
    struct str pieces[2];
    char octets[];
};

static void release(struct spool_message *m)
{
    heard.released++;
    mem_free(m);
}

static char octet_of(uint64_t id, size_t i)
{
    return (char)('a' + (id * 7 + i) % 25);
}

static struct spool_message *message(uint64_t id, size_t n)
{
    struct message *m = mem_zalloc(sizeof *m + n);

    if (!m)
        return NULL;
    for (size_t i = 0; i < n; i++)
        m->octets[i] = octet_of(id, i);
    m->pieces[0] = str_of(m->octets, n / 2);
    m->pieces[1] = str_of(m->octets + n / 2, n - n / 2);
    m->m = (struct spool_message){
        .id = id,
        .rcpts = 2,
        .envelope = STR("from a to b"),
        .prefix = STR("Received: by us\r\n"),
        .digest = STR("digest"),
        .content = m->pieces,
        .pieces = 2,
        .release = release,
    };
    return &m->m;
}

static int commit(struct spool *s, uint64_t id, size_t n, struct err *e)
{
    struct spool_message *m = message(id, n);

    if (!m)
        return err_memory(e, "test");
    return spool_commit(s, &m, 1, NULL, 0, SPOOL_MAIL, e);
}

static void must_commit(struct spool *s, uint64_t id, size_t n)
{
    struct err e;

    if (commit(s, id, n, &e) < 0)
        fail_msg("commit of %u: %s", (unsigned)id, e.text);
}

static void must_end(struct spool *s, uint64_t id)
{
    struct spool_change c = {.kind = SPOOL_END, .id = id};
    struct err e;

    if (spool_commit(s, NULL, 0, &c, 1, SPOOL_OWN, &e) < 0)
        fail_msg("end of %u: %s", (unsigned)id, e.text);
}

static void check_part(struct spool *s, uint64_t id, enum spool_part part, struct str want)
{
    struct buf b;
    struct err e;

    buf_init(&b, 1 << 20);
    if (spool_load(s, id, part, &b, &e) < 0)
        fail_msg("load of %u: %s", (unsigned)id, e.text);
    assert_int_equal(buf_len(&b), want.n);
    assert_memory_equal(buf_str(&b).p, want.p, want.n);
    buf_done(&b);
}

static void check_message(struct spool *s, uint64_t id, size_t n)
{
    struct spool_found f;
    struct err e;
    char *p = mem_alloc(n + 100);
    size_t got;

    assert_true(spool_find(s, id, &f));
    assert_int_equal(f.content, n);
    assert_int_equal(f.rcpts, 2);
    check_part(s, id, SPOOL_ENVELOPE, STR("from a to b"));
    check_part(s, id, SPOOL_PREFIX, STR("Received: by us\r\n"));
    check_part(s, id, SPOOL_DIGEST, STR("digest"));
    assert_int_equal(spool_read(s, id, SPOOL_CONTENT, 0, p, n + 100, &got, &e), 0);
    assert_int_equal(got, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i], octet_of(id, i));
    assert_int_equal(spool_read(s, id, SPOOL_CONTENT, n / 3, p, n / 2, &got, &e), 0);
    assert_int_equal(got, n / 2);
    for (size_t i = 0; i < got; i++)
        assert_int_equal(p[i], octet_of(id, n / 3 + i));
    assert_int_equal(spool_read(s, id, SPOOL_CONTENT, n, p, 10, &got, &e), 0);
    assert_int_equal(got, 0);
    mem_free(p);
}

/* ---- the tests */

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

/* ---- storage that fails: faults 11 to 18 */

/* Commits until the end of the world at call n, then opens what is on the disk after a power cut.
 * What was confirmed is there, what was refused is not. */
static void fail_at(enum fake_call call, uint64_t n, int error, bool lasting, bool keeps)
{
    struct fake_disk *f = fake_new(), *after;
    struct spool *s = open_on(f);
    bool confirmed[40] = {0};
    struct err e;

    must_commit(s, 1, 3000);
    confirmed[1] = true;
    fake_sync_keeps(f, keeps);
    fake_fail(f, call, n, error, lasting);
    for (uint64_t id = 2; id < 40; id++) {
        confirmed[id] = commit(s, id, 9000, &e) == 0;
        if (!confirmed[id])
            assert_int_equal(e.status.class, 4);
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
    fiber_sleep(2500, NULL); /* the spool looks once a second */
    assert_int_equal(heard.state, SPOOL_READY);
    must_commit(s, id + 1, 20000);
    spool_close(&s);
    fake_free(f);
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
        cmocka_unit_test(test_sync_fails),
        cmocka_unit_test(test_write_fails),
        cmocka_unit_test(test_short_writes),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_cancelled),
    };
    const uint8_t key[16] = {1};

    table_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
