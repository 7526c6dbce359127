#include "core/mailbox/mailbox_test.h"

static void expect_text(struct mailboxes *m, uint64_t account, uint32_t uid, const char *text)
{
    struct buf out;

    buf_init(&out, 1 << 20);
    for (size_t n = 1; n < 40; n += 13) {
        read_all(m, account, uid, n, &out);
        if (!str_eq(buf_str(&out), str_c(text)))
            fail_msg("uid %u: %.*s", uid, STR_ARG(buf_str(&out)));
    }
    buf_done(&out);
}

FIBER_TEST(test_deliver_and_read)
{
    struct mailboxes *m = open_it();
    struct mail_content one = content_of(7, "Subject: one\r\n\r\nfirst\r\n");
    struct mail_content two = content_of(8, "Subject: two\r\n\r\nsecond\r\n");
    struct delivery v[] = {to(1, 0, &one), to(2, 1, &one), to(1, 0, &two), to(1, 5, &one)};
    struct mail_after after = {0};
    struct mail_row *row, found;
    struct mailbox_row *box;
    struct mailbox_counts counts;
    struct arena a;
    struct err e = {0};
    uint32_t n;

    arena_init(&a, 1 << 20);
    mailbox_deliver(m, v, 4);
    expect(&v[0], DELIVERY_DONE, 1);
    expect(&v[1], DELIVERY_DONE, 1);
    expect(&v[2], DELIVERY_DONE, 2);
    expect(&v[3], DELIVERY_DONE, 3);
    expect_text(m, 1, 1, "Return-Path: <>\r\nSubject: one\r\n\r\nfirst\r\n");
    expect_text(m, 1, 2, "Return-Path: <>\r\nSubject: two\r\n\r\nsecond\r\n");
    must(mailbox_list(m, &a, 1, STR(""), false, &after, 2, &row, &n, &e), &e);
    assert_true(n == 2 && row[0].uid == 1 && row[1].uid == 2 && after.uid == 2);
    assert_true(row[1].email_id == 8 && row[1].received_ms == 1000008 && row[1].size == 41);
    assert_true(str_eq(row[1].mailbox, STR("INBOX")) && str_eq(row[0].digest, STR("digest")));
    assert_true(row[0].flags == 0 && row[1].modseq > row[0].modseq);
    must(mailbox_list(m, &a, 1, STR("inbox"), true, &after, 2, &row, &n, &e), &e);
    assert_true(n == 1 && row[0].uid == 3 && after.uid == 0);
    must(mailbox_find(m, &a, 1, STR(""), 0, &found, &e), &e);
    assert_int_equal(found.uid, 3);
    must(mailbox_counts(m, 1, &counts, &e), &e);
    assert_true(counts.messages == 3 && counts.unseen == 3 && counts.octets == 40 + 41 + 40);
    must(mailbox_all(m, &a, 1, &box, &n, &e), &e);
    assert_true(n == 6 && str_eq(box[0].name, STR("INBOX")) && box[0].messages == 3);
    assert_true(box[0].uid_next == 4 && box[0].uid_validity != 0 && box[0].id.n == 16);
    assert_true(str_eq(box[5].special, STR("\\Trash"))); /* RFC 6154 2 */
    mailboxes_close(&m);
    arena_done(&a);
}

FIBER_TEST(test_what_is_not_there)
{
    struct mailboxes *m = open_it();
    struct mail_content one = content_of(7, "x\r\n");
    struct delivery v = to(1, 0, &one);
    struct mail_after after = {0};
    struct mail_row *row, found;
    struct mailbox_counts counts;
    struct buf out;
    struct arena a;
    struct err e = {0};
    uint64_t size;
    uint32_t n;

    arena_init(&a, 1 << 20);
    buf_init(&out, 1000);
    must(mailbox_list(m, &a, 1, STR(""), true, &after, 0, &row, &n, &e), &e);
    assert_int_equal(n, 0);
    must(mailbox_counts(m, 1, &counts, &e), &e);
    assert_true(counts.messages == 0);
    assert_int_equal(mailbox_list(m, &a, 1, STR("None"), false, &after, 0, &row, &n, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    assert_int_equal(mailbox_find(m, &a, 1, STR(""), 1, &found, &e), -1);
    mailbox_deliver(m, &v, 1);
    expect(&v, DELIVERY_DONE, 1);
    assert_int_equal(mailbox_find(m, &a, 1, STR(""), 2, &found, &e), -1);
    assert_string_equal(e.text, "no such message");
    assert_int_equal(mailbox_find(m, &a, 1, STR("None"), 1, &found, &e), -1);
    assert_string_equal(e.text, "no such mailbox");
    assert_int_equal(mailbox_read(m, 1, STR("Sent"), 0, 0, 10, &out, &size, &e), -1);
    must(mailbox_read(m, 1, STR(""), 1, 1000, 10, &out, &size, &e), &e);
    assert_int_equal(buf_len(&out), 0);
    must(mailbox_birth(m, 9, &e), &e);
    must(mailbox_counts(m, 9, &counts, &e), &e);
    mailboxes_close(&m);
    buf_done(&out);
    arena_done(&a);
}

/* Twice is once: in a call, in two calls, after closing; and a full mailbox knows what it has. */
FIBER_TEST(test_idempotent)
{
    struct mailboxes *m = open_it();
    struct mail_content one = content_of(7, "x\r\n");
    struct delivery v[] = {to(1, 0, &one), to(1, 0, &one), to(1, 1, &one)};
    struct mailbox_counts counts;
    struct err e = {0};

    for (int round = 0; round < 3; round++) {
        mailbox_deliver(m, v, 3);
        expect(&v[0], round ? DELIVERY_DUPLICATE : DELIVERY_DONE, 1);
        expect(&v[1], DELIVERY_DUPLICATE, 1);
        expect(&v[2], round ? DELIVERY_DUPLICATE : DELIVERY_DONE, 2);
        if (round == 1) {
            mailboxes_close(&m);
            m = open_it();
        }
        v[0].quota = v[1].quota = v[2].quota = round ? 1 : 0;
    }
    must(mailbox_counts(m, 1, &counts, &e), &e);
    assert_int_equal(counts.messages, 2);
    mailboxes_close(&m);
}

/* RFC 3463 3.3: 5.2.2 */
FIBER_TEST(test_quota)
{
    struct mailboxes *m = open_it();
    struct mail_content one = content_of(7, "12345\r\n"), two = content_of(8, "12345\r\n");
    struct delivery v[] = {to(1, 0, &one), to(1, 0, &two), to(1, 1, &two)};

    v[0].quota = v[1].quota = 24 + 10; /* a message has 17 + 7 octets */
    mailbox_deliver(m, v, 3);
    expect(&v[0], DELIVERY_DONE, 1);
    expect(&v[1], DELIVERY_FAILED, 0);
    assert_int_equal(v[1].why.status.detail, 2);
    assert_int_equal(v[1].why.class, ERR_PERMANENT);
    expect(&v[2], DELIVERY_DONE, 2);
    mailboxes_close(&m);
}

static const struct {
    const char *content, *want; /* want: without the prefix */
    uint64_t cut[6];
    uint32_t cuts;
    bool sound;
} cut_rows[] = {
    {"abcdef", "abcdef", {0}, 0, true},
    {"abcdef", "cdef", {0, 2}, 1, true},
    {"abcdef", "abcd", {4, 2}, 1, true},
    {"abcdef", "", {0, 6}, 1, true},
    {"abcdef", "acf", {1, 1, 3, 2}, 2, true},
    {"abcdef", "f", {0, 2, 2, 2, 4, 1}, 3, true},
    {"abcdef", "abcdef", {6, 0}, 1, true},
    {"abcdef", "", {5, 2}, 1, false},
    {"abcdef", "", {3, 1, 2, 1}, 2, false},
    {"abcdef", "", {0, 3, 2, 1}, 2, false},
    {"abcdef", "", {1, UINT64_MAX}, 1, false},
};

FIBER_TEST(test_cuts)
{
    struct mailboxes *m = open_it();

    for (uint32_t i = 0; i < sizeof cut_rows / sizeof *cut_rows; i++) {
        struct mail_content c = content_of(i + 1, cut_rows[i].content);
        struct delivery v = to(i + 1, 0, &c);
        char want[64];
        c.cut = cut_rows[i].cut;
        c.cuts = cut_rows[i].cuts;
        mailbox_deliver(m, &v, 1);
        expect(&v, cut_rows[i].sound ? DELIVERY_DONE : DELIVERY_FAILED, 0);
        (void)snprintf(want, sizeof want, "Return-Path: <>\r\n%s", cut_rows[i].want);
        if (cut_rows[i].sound)
            expect_text(m, i + 1, 1, want);
    }
    mailboxes_close(&m);
}

/* ---- large bodies */

FIBER_TEST(test_large)
{
    struct mailboxes *m = open_it();
    struct mail_content large = large_content(7, LARGE), small = large_content(8, 1000);
    const uint64_t cut[] = {10, 100, 500000, 1000};
    struct delivery v[] = {to(1, 0, &large), to(2, 1, &large), to(2, 0, &small)};
    struct buf out;
    struct err e = {0};

    reader.fail_at = 0;
    reader.piece = 99991;
    large.cut = cut;
    large.cuts = 2;
    buf_init(&out, 1 << 20);
    mailbox_deliver(m, v, 3);
    expect(&v[0], DELIVERY_DONE, 1);
    expect(&v[1], DELIVERY_DONE, 1);
    expect(&v[2], DELIVERY_DONE, 2);
    assert_int_equal(files_in("01/1.d"), 1);
    assert_int_equal(files_in("02/2.d"), 1);
    assert_int_equal(files_in("tmp"), 0);
    assert_int_equal(faults.links, 2); /* written once */
    for (uint64_t account = 1; account <= 2; account++) {
        read_all(m, account, 1, 100000, &out);
        assert_int_equal(buf_len(&out), 17 + LARGE - 1100);
        for (uint64_t at = 0, i = 17; at < LARGE; at++)
            if (!(at >= 10 && at < 110) && !(at >= 500000 && at < 501000) &&
                buf_str(&out).p[i++] != pattern(at))
                fail_msg("octet %llu", (unsigned long long)at);
    }
    read_all(m, 2, 2, 300, &out);
    assert_int_equal(buf_len(&out), 1017);
    mailbox_deliver(m, v, 3); /* again: no second file */
    expect(&v[0], DELIVERY_DUPLICATE, 1);
    assert_int_equal(files_in("01/1.d"), 1);
    must(mailbox_erase(m, 1, &e), &e);
    assert_int_equal(files_in("01/1.d"), 0);
    assert_int_equal(files_in("01"), 1); /* the empty directory */
    mailboxes_close(&m);
    buf_done(&out);
}

/* Content that cannot be read fails its own deliveries and leaves nothing. */
FIBER_TEST(test_content_fails)
{
    struct mailboxes *m = open_it();
    struct mail_content large = large_content(7, LARGE), small = large_content(8, 1000),
                        good = content_of(9, "x");
    struct delivery v[] = {to(1, 0, &large), to(1, 0, &small), to(1, 0, &good)};

    reader.fail_at = 1;
    reader.piece = 500;
    mailbox_deliver(m, v, 3);
    expect(&v[0], DELIVERY_FAILED, 0);
    expect(&v[1], DELIVERY_FAILED, 0);
    assert_string_equal(v[1].why.text, "the spool fails");
    expect(&v[2], DELIVERY_DONE, 1);
    reader.fail_at = 0;
    mailbox_deliver(m, v, 3);
    expect(&v[0], DELIVERY_DONE, 2);
    expect(&v[1], DELIVERY_DONE, 3);
    expect(&v[2], DELIVERY_DUPLICATE, 1);
    assert_int_equal(files_in("tmp"), 0);
    mailboxes_close(&m);
}

/* ---- many accounts */

FIBER_TEST(test_thousand_accounts)
{
    enum {
        MANY = 1000,
        OPEN_MAX = 20
    };
    struct mailboxes *m = open_with(OPEN_MAX, 0);
    struct mail_content c = content_of(7, "x\r\n"), d = content_of(8, "y\r\n");
    struct delivery *v = mem_array(MANY, sizeof *v);
    struct mailbox_counts counts;
    struct mailboxes_stats stats;
    struct err e = {0};

    assert_non_null(v);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < MANY; i++)
            v[i] = to(i + 1, i, round ? &d : &c);
        mailbox_deliver(m, v, MANY);
        for (uint32_t i = 0; i < MANY; i++)
            expect(&v[i], DELIVERY_DONE, round + 1);
        mailboxes_stats(m, &stats);
        assert_true(stats.open <= OPEN_MAX);
    }
    assert_true(faults.syncfses > 0); /* one for many */
    for (uint64_t i = 1; i <= MANY; i += 99) {
        must(mailbox_counts(m, i, &counts, &e), &e);
        assert_int_equal(counts.messages, 2);
    }
    mem_free(v);
    mailboxes_close(&m);
}

/* ---- numbers */

/* Orderly, UIDs go on without a gap; MODSEQs too. */
FIBER_TEST(test_numbers_go_on)
{
    uint32_t uid = 0;
    struct mailboxes *m;

    for (uint64_t id = 1; id < 70; id++) {
        m = open_with(0, 0);
        assert_int_equal(deliver_one(m, id), ++uid);
        assert_int_equal(deliver_one(m, 1000 + id), ++uid);
        mailboxes_close(&m);
    }
}

/* ---- checkpoints */

FIBER_TEST(test_checkpoints)
{
    struct mailboxes *m = open_with(0, 20);
    struct mailboxes_stats stats;
    struct mailbox_counts counts;
    struct stat log;
    char path[96];
    struct err e = {0};

    for (uint64_t id = 1; id <= 300; id++)
        (void)deliver_one(m, id);
    mailboxes_stats(m, &stats);
    assert_true(stats.checkpoints > 5);
    (void)snprintf(path, sizeof path, "%s/01/1.db-wal", root);
    assert_int_equal(stat(path, &log), 0);
    assert_true(log.st_size < 200 * 4200);
    mailboxes_close(&m);
    m = open_it();
    must(mailbox_counts(m, 1, &counts, &e), &e);
    assert_int_equal(counts.messages, 300);
    mailboxes_close(&m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ROW(test_deliver_and_read),
        ROW(test_what_is_not_there),
        ROW(test_idempotent),
        ROW(test_quota),
        ROW(test_cuts),
        ROW(test_large),
        ROW(test_content_fails),
        ROW(test_thousand_accounts),
        ROW(test_numbers_go_on),
        ROW(test_checkpoints),
    };

    return cmocka_run_group_tests_name("core_mailbox", tests, NULL, NULL);
}
