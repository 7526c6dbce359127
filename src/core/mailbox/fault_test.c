/* What the disk, a power cut and a lack of memory may do to mailboxes. */
#include "core/mailbox/mailbox_test.h"

/* The first `limit` octets; all of it where that is negative. */
static void copy_file(const char *from, const char *into, long limit)
{
    static char octets[65536];
    FILE *in = fopen(from, "r"), *out = fopen(into, "w");
    size_t n;

    assert_true(in && out);
    while (limit != 0 && (n = fread(octets, 1, sizeof octets, in)) > 0) {
        if (limit >= 0 && n > (size_t)limit)
            n = (size_t)limit;
        assert_int_equal(fwrite(octets, 1, n, out), n);
        limit -= limit > 0 ? (long)n : 0;
    }
    assert_int_equal(fclose(in) | fclose(out), 0);
}

/* A power cut: the log ends somewhere behind the last sync. What was told is there, and a UID that
 * was shown never means another message. */
FIBER_TEST(test_power_cut)
{
    enum {
        BEFORE = 70,
        AFTER = 30
    };
    struct mailboxes *m = open_it();
    char db[96], log[96], saved_db[96], saved_log[96];
    struct mailbox_counts counts;
    struct stat synced, end;
    struct err e = {0};
    uint32_t shown = 0;

    (void)snprintf(db, sizeof db, "%s/01/1.db", root);
    (void)snprintf(log, sizeof log, "%s/01/1.db-wal", root);
    (void)snprintf(saved_db, sizeof saved_db, "%s/db", root);
    (void)snprintf(saved_log, sizeof saved_log, "%s/log", root);
    for (uint64_t id = 1; id <= BEFORE; id++)
        shown = deliver_one(m, id);
    assert_int_equal(stat(log, &synced), 0);
    for (uint64_t id = BEFORE + 1; id <= BEFORE + AFTER; id++)
        shown = deliver_one(m, id);
    assert_int_equal(stat(log, &end), 0);
    copy_file(db, saved_db, -1);
    copy_file(log, saved_log, -1);
    mailboxes_close(&m);
    for (long cut = synced.st_size; cut <= end.st_size; cut += 19001) {
        copy_file(saved_db, db, -1);
        copy_file(saved_log, log, cut);
        m = open_it();
        must(mailbox_counts(m, 1, &counts, &e), &e);
        assert_true(counts.messages >= BEFORE && counts.messages <= BEFORE + AFTER);
        if (counts.messages < BEFORE + AFTER)
            assert_true(deliver_one(m, 5000) > shown);
        mailboxes_close(&m);
    }
    assert_int_equal(unlink(saved_db), 0);
    assert_int_equal(unlink(saved_log), 0);
}

/* ---- syncs that fail */

FIBER_TEST(test_failed_sync)
{
    struct mailboxes *m = open_it();
    struct mail_content c = content_of(7, "x\r\n"), d = content_of(8, "y\r\n");
    struct delivery v = to(1, 0, &c), w = to(1, 0, &d);
    struct mailbox_counts counts;
    struct mailboxes_stats stats;
    struct err e = {0};
    unsigned before;

    mailbox_deliver(m, &v, 1);
    expect(&v, DELIVERY_DONE, 1);
    faults.sync_error = EIO;
    mailbox_deliver(m, &w, 1);
    expect(&w, DELIVERY_FAILED, 0);
    assert_int_equal(w.why.class, ERR_TEMPORARY);
    assert_int_equal(w.why.os, EIO);
    faults.sync_error = 0;
    mailboxes_stats(m, &stats);
    before = (unsigned)stats.opened;
    mailbox_deliver(m, &w, 1); /* read anew, rewritten, and only then believed */
    expect(&w, DELIVERY_DUPLICATE, 0);
    mailboxes_stats(m, &stats);
    assert_true(stats.opened == before + 1 && stats.failed_syncs == 1);
    must(mailbox_counts(m, 1, &counts, &e), &e);
    assert_int_equal(counts.messages, 2);
    mailboxes_close(&m);
}

/* ---- files that are not what they should be */

FIBER_TEST(test_strange_files)
{
    struct mailboxes *m = open_it();
    struct mail_content c = content_of(7, "x\r\n");
    struct delivery v[] = {to(1, 0, &c), to(2, 1, &c)};
    char path[96], other[96], log[96];
    FILE *f;

    mailbox_deliver(m, v, 2);
    mailboxes_close(&m);
    (void)snprintf(path, sizeof path, "%s/01/1.db", root);
    (void)snprintf(other, sizeof other, "%s/02/2.db", root);
    copy_file(path, other, -1);
    (void)snprintf(log, sizeof log, "%s/02/2.db-wal", root);
    assert_int_equal(unlink(log), 0);
    f = fopen(path, "r+");
    (void)fputs("not a database", f);
    (void)fclose(f);
    m = open_it();
    mailbox_deliver(m, v, 2);
    expect(&v[0], DELIVERY_FAILED, 0);
    expect(&v[1], DELIVERY_FAILED, 0); /* somebody else's mail */
    assert_int_equal(v[0].why.class, ERR_TEMPORARY);
    assert_int_equal(v[1].why.class, ERR_TEMPORARY);
    mailboxes_close(&m);
}

/* ---- no memory */

FIBER_TEST(test_no_memory)
{
    struct mailboxes *m = open_it();
    struct mail_content small = large_content(7, 1000), large = large_content(8, 100000);
    struct delivery v[] = {to(1, 0, &small), to(1, 0, &large), to(2, 1, &small)};
    struct mailbox_counts counts;
    struct err e = {0};
    uint64_t n = 0;
    bool failed;

    reader.fail_at = 0;
    reader.piece = 50000;
    do {
        mem_fail_at(++n);
        mailbox_deliver(m, v, 3);
        mem_fail_at(0);
        failed = false;
        for (int i = 0; i < 3; i++)
            failed |= v[i].result == DELIVERY_FAILED;
    } while (failed && n < 1000);
    assert_true(!failed && n > 1);
    mailbox_deliver(m, v, 3);
    for (int i = 0; i < 3; i++)
        expect(&v[i], DELIVERY_DUPLICATE, 0);
    must(mailbox_counts(m, 1, &counts, &e), &e);
    assert_int_equal(counts.messages, 2);
    assert_int_equal(files_in("tmp"), 0);
    mailboxes_close(&m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ROW(test_power_cut),
        ROW(test_failed_sync),
        ROW(test_strange_files),
        ROW(test_no_memory),
    };

    return cmocka_run_group_tests_name("core_mailbox_fault", tests, NULL, NULL);
}
