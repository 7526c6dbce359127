#include "core/mailbox/mailbox.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/table.h"

#include "run/run_test.h"

static char root[64];

/* The system's calls with two that can fail. */
static struct {
    unsigned fdatasyncs, syncfses, links;
    int sync_error;
} faults;

static int test_fdatasync(const struct sys *s, int h)
{
    __atomic_add_fetch(&faults.fdatasyncs, 1, __ATOMIC_RELAXED);
    return faults.sync_error ? -faults.sync_error : sys_real.fdatasync(s, h);
}

static int test_syncfs(const struct sys *s, int h)
{
    (void)s;
    (void)h;
    faults.syncfses++;
    return -faults.sync_error; /* the real one would sync what others write */
}

static int test_link(const struct sys *s, const char *from, const char *to)
{
    __atomic_add_fetch(&faults.links, 1, __ATOMIC_RELAXED);
    return sys_real.link(s, from, to);
}

static struct sys test_sys;

static struct mailboxes *open_with(unsigned open_max, uint64_t wal_pages)
{
    struct mailboxes_settings settings = {
        .sys = &test_sys, .path = root, .open_max = open_max, .wal_pages = wal_pages};
    struct mailboxes *m = NULL;
    struct err e = {0};

    if (mailboxes_open(&m, &settings, &e) < 0)
        fail_msg("%s", e.text);
    return m;
}

static struct mailboxes *open_it(void)
{
    return open_with(0, 0);
}

static void must(int status, const struct err *e)
{
    if (status < 0)
        fail_msg("%s", e->text);
}

static struct mail_content content_of(uint64_t id, const char *text)
{
    return (struct mail_content){.id = id,
        .size = strlen(text),
        .content = str_c(text),
        .received_ms = 1000000 + (int64_t)id,
        .digest = STR("digest")};
}

static struct delivery to(uint64_t account, uint32_t rcpt, const struct mail_content *c)
{
    return (struct delivery){
        .account = account, .rcpt = rcpt, .content = c, .prefix = STR("Return-Path: <>\r\n")};
}

static void expect(const struct delivery *d, enum delivery_result result, uint32_t uid)
{
    if (d->result != result || (uid && d->uid != uid))
        fail_msg("account %llu rcpt %u: %d uid %u %s", (unsigned long long)d->account, d->rcpt,
            d->result, d->uid, d->why.text);
}

/* The whole message as it is read, in pieces of n octets. */
static void read_all(struct mailboxes *m, uint64_t account, uint32_t uid, size_t n, struct buf *out)
{
    struct err e = {0};
    uint64_t size = 1;

    buf_clear(out);
    while (buf_len(out) < size)
        must(mailbox_read(m, account, STR(""), uid, buf_len(out), n, out, &size, &e), &e);
    assert_true(buf_len(out) == size);
}

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

enum {
    LARGE = 700 * 1024 + 77
};

static char pattern(uint64_t at)
{
    return (char)('a' + at % 23);
}

static struct {
    uint64_t fail_at;
    uint32_t piece;
} reader;

static int read_pattern(void *arg, uint64_t at, void *p, size_t n, size_t *got, struct err *e)
{
    char *out = p;

    (void)arg;
    if (fiber_yield(e) < 0)
        return -1;
    if (reader.fail_at && at >= reader.fail_at)
        return err_set(e, ERR_TEMPORARY, "test", "the spool fails");
    *got = n < reader.piece ? n : reader.piece;
    for (size_t i = 0; i < *got; i++)
        out[i] = pattern(at + i);
    return 0;
}

static struct mail_content large_content(uint64_t id, uint64_t size)
{
    return (struct mail_content){.id = id, .size = size, .read = read_pattern, .received_ms = 1};
}

static unsigned files_in(const char *dir)
{
    char path[128];
    unsigned n = 0;
    DIR *d;

    (void)snprintf(path, sizeof path, "%s/%s", root, dir);
    d = opendir(path);
    for (const struct dirent *entry; d && (entry = readdir(d));)
        n += entry->d_name[0] != '.';
    if (d)
        (void)closedir(d);
    return n;
}

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

static uint32_t deliver_one(struct mailboxes *m, uint64_t id)
{
    struct mail_content c = content_of(id, "x\r\n");
    struct delivery v = to(1, 0, &c);

    mailbox_deliver(m, &v, 1);
    expect(&v, DELIVERY_DONE, 0);
    return v.uid;
}

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

static void copy_file(const char *from, const char *into, long limit)
{
    char command[512];

    if (limit >= 0)
        (void)snprintf(command, sizeof command, "head -c %ld %s > %s", limit, from, into);
    else
        (void)snprintf(command, sizeof command, "cp %s %s", from, into);
    assert_int_equal(system(command), 0);
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

static int setup(void **state)
{
    static const uint8_t key[16] = {1, 2, 3};

    (void)state;
    table_seed(key);
    memset(&faults, 0, sizeof faults);
    test_sys = sys_real;
    test_sys.fdatasync = test_fdatasync;
    test_sys.syncfs = test_syncfs;
    test_sys.link = test_link;
    (void)snprintf(root, sizeof root, "/tmp/veredus-mailbox-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
        ROW(test_power_cut),
        ROW(test_failed_sync),
        ROW(test_checkpoints),
        ROW(test_strange_files),
        ROW(test_no_memory),
    };

    return cmocka_run_group_tests_name("core_mailbox", tests, NULL, NULL);
}
