/* core/mailbox/mailbox_test.h: what the tests of this folder share: a directory that is thrown
 * away, calls of the system that can fail, messages. One file of tests each.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/table.h"

#include "run/run_test.h"

#include "core/mailbox/mailbox.h"

static char root[64];

/* The system's calls with two that can fail. */
static struct {
    unsigned fdatasyncs, syncfses, links;
    int sync_error;
} faults;

static inline int test_fdatasync(const struct sys *s, int h)
{
    __atomic_add_fetch(&faults.fdatasyncs, 1, __ATOMIC_RELAXED);
    return faults.sync_error ? -faults.sync_error : sys_real.fdatasync(s, h);
}

static inline int test_syncfs(const struct sys *s, int h)
{
    (void)s;
    (void)h;
    faults.syncfses++;
    return -faults.sync_error; /* the real one would sync what others write */
}

static inline int test_link(const struct sys *s, const char *from, const char *to)
{
    __atomic_add_fetch(&faults.links, 1, __ATOMIC_RELAXED);
    return sys_real.link(s, from, to);
}

static struct sys test_sys;

static inline struct mailboxes *open_with(unsigned open_max, uint64_t wal_pages)
{
    struct mailboxes_settings settings = {
        .sys = &test_sys, .path = root, .open_max = open_max, .wal_pages = wal_pages};
    struct mailboxes *m = NULL;
    struct err e = {0};

    if (mailboxes_open(&m, &settings, &e) < 0)
        fail_msg("%s", e.text);
    return m;
}

static inline struct mailboxes *open_it(void)
{
    return open_with(0, 0);
}

static inline void must(int status, const struct err *e)
{
    if (status < 0)
        fail_msg("%s", e->text);
}

static inline struct mail_content content_of(uint64_t id, const char *text)
{
    return (struct mail_content){.id = id,
        .size = strlen(text),
        .content = str_c(text),
        .received_ms = 1000000 + (int64_t)id,
        .digest = STR("digest")};
}

static inline struct delivery to(uint64_t account, uint32_t rcpt, const struct mail_content *c)
{
    return (struct delivery){
        .account = account, .rcpt = rcpt, .content = c, .prefix = STR("Return-Path: <>\r\n")};
}

static inline void expect(const struct delivery *d, enum delivery_result result, uint32_t uid)
{
    if (d->result != result || (uid && d->uid != uid))
        fail_msg("account %llu rcpt %u: %d uid %u %s", (unsigned long long)d->account, d->rcpt,
            d->result, d->uid, d->why.text);
}

/* The whole message as it is read, in pieces of n octets. */
static inline void read_all(
    struct mailboxes *m, uint64_t account, uint32_t uid, size_t n, struct buf *out)
{
    struct err e = {0};
    uint64_t size = 1;

    buf_clear(out);
    while (buf_len(out) < size)
        must(mailbox_read(m, account, STR(""), uid, buf_len(out), n, out, &size, &e), &e);
    assert_true(buf_len(out) == size);
}

static inline uint32_t deliver_one(struct mailboxes *m, uint64_t id)
{
    struct mail_content c = content_of(id, "x\r\n");
    struct delivery v = to(1, 0, &c);

    mailbox_deliver(m, &v, 1);
    expect(&v, DELIVERY_DONE, 0);
    return v.uid;
}

enum {
    LARGE = 700 * 1024 + 77
};

static inline char pattern(uint64_t at)
{
    return (char)('a' + at % 23);
}

static struct {
    uint64_t fail_at;
    uint32_t piece;
} reader;

static inline int read_pattern(
    void *arg, uint64_t at, void *p, size_t n, size_t *got, struct err *e)
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

static inline struct mail_content large_content(uint64_t id, uint64_t size)
{
    return (struct mail_content){.id = id, .size = size, .read = read_pattern, .received_ms = 1};
}

static inline unsigned files_in(const char *dir)
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

static inline int setup(void **state)
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

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
