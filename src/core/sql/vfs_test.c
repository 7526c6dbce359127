/* SQLite over the table of calls: locks, syncs, what a lost power leaves. */
#include "core/sql/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/temp_dir.h"
#include "base/unit_test.h"

#include "io/fake_disk.h"

#include "core/sql/sql.h"

#define PATH "/sql/x.db"

enum {
    SECTOR = 4096,
};

static const char *const texts[] = {"INSERT INTO t (n) VALUES (?1)", "SELECT count(*) FROM t"};
static const struct sql_format alone = {
    .application = 7,
    .version = 1,
    .pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;",
    .schema = "CREATE TABLE t (n INTEGER PRIMARY KEY, text BLOB);",
};

static struct fake_disk *disk;
static struct sys sys; /* the disk's */

static void start_on(struct fake_disk *f)
{
    disk = f;
    sys = *fake_sys(f);
}

static void make_file(const char *path)
{
    int h = sys.open(&sys, path, O_RDWR | O_CREAT, 0600);

    assert_true(h >= 0);
    assert_int_equal(sys.sync_dir(&sys, "/sql"), 0);
    assert_int_equal(sys.close(&sys, h), 0);
}

static int try_open(struct sql *s, const struct sys *on, const char *path,
    const struct sql_format *format, struct err *e)
{
    bool born;

    *s = (struct sql){.origin = "test", .texts = texts, .count = 2};
    return sql_open(s, on, path, format, &born, e);
}

static void open_it(struct sql *s, const struct sql_format *format)
{
    struct err e;

    if (try_open(s, &sys, PATH, format, &e) < 0)
        fail_msg("%s", e.text);
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

static int insert(struct sql *s, int64_t n, struct err *e)
{
    sqlite3_stmt *q = sql_use(s, 0, e);

    assert_non_null(q);
    sql_bind_i64(q, 1, n);
    return sql_run(s, q, e);
}

static int64_t count(struct sql *s)
{
    int64_t n = -1;

    assert_int_equal(sql_number(s, sql_use(s, 1, NULL), &n, NULL), 1);
    return n;
}

static int setup(void **state)
{
    (void)state;
    start_on(fake_new());
    assert_int_equal(sys.mkdir(&sys, "/sql", 0700), 0);
    make_file(PATH);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_free(disk);
    return 0;
}

static void test_no_other_way(void **state)
{
    sqlite3 *db = NULL;
    struct sql s;

    (void)state;
    open_it(&s, &alone);
    assert_null(sqlite3_vfs_find("unix"));
    assert_null(sqlite3_vfs_find("unix-none"));
    assert_string_equal(sqlite3_vfs_find(NULL)->zName, vfs_name(&sys, false));
    assert_int_equal(sqlite3_open_v2("/etc/passwd", &db, SQLITE_OPEN_READONLY, "unix"), 1);
    sqlite3_close(db);
    sql_close(&s);
}

/* Each commit is synced, and the next begins in another sector. */
static void test_commits_are_synced(void **state)
{
    struct fake_disk *before;
    struct sql s;
    size_t n, end;

    (void)state;
    open_it(&s, &alone);
    for (int64_t i = 1; i <= 20; i++) {
        (void)fake_file(disk, PATH "-wal", &end);
        assert_int_equal(insert(&s, i, NULL), 0);
        assert_non_null(fake_file(disk, PATH "-wal", &n));
        assert_true(n - end > SECTOR); /* the commit's page, and a copy across the sector's end */
        assert_true(fake_pending(disk) * 512 <= SECTOR); /* the copy's tail, behind the sync */
    }
    sql_close(&s);
    before = disk;
    start_on(fake_after_cut(before, FAKE_NONE, 0));
    fake_free(before);
    open_it(&s, &alone);
    assert_int_equal(count(&s), 20);
    sql_close(&s);
}

/* The owner syncs the log; a checkpoint does so by itself before it touches the database. */
static void test_grouped_commits(void **state)
{
    struct sql_format grouped = alone;
    struct fake_disk *cut;
    struct sql s;
    uint64_t syncs;
    int h;

    (void)state;
    grouped.grouped = true;
    grouped.pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                      "PRAGMA checkpoint_fullfsync=ON; PRAGMA wal_autocheckpoint=0;";
    open_it(&s, &grouped);
    assert_int_equal(insert(&s, 1, NULL), 0);
    syncs = fake_calls(disk, FAKE_SYNC);
    for (int64_t i = 2; i <= 10; i++)
        assert_int_equal(insert(&s, i, NULL), 0);
    assert_int_equal(fake_calls(disk, FAKE_SYNC), syncs);
    h = sys.open(&sys, PATH "-wal", O_RDWR, 0);
    assert_int_equal(sys.fdatasync(&sys, h), 0);
    assert_int_equal(sys.close(&sys, h), 0);
    assert_int_equal(insert(&s, 11, NULL), 0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fake_disk *here = disk;
        struct sql other;

        cut = fake_after_cut(here, FAKE_TORN, seed);
        start_on(cut);
        open_it(&other, &grouped);
        assert_true(count(&other) >= 10);
        sql_close(&other);
        fake_free(cut);
        start_on(here);
    }
    syncs = fake_calls(disk, FAKE_SYNC);
    assert_int_equal(
        sqlite3_wal_checkpoint_v2(s.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
    assert_true(fake_calls(disk, FAKE_SYNC) >= syncs + 2);
    sql_close(&s);
}

static void test_full_disk(void **state)
{
    struct sql s;
    struct err e;
    int64_t n = 0;

    (void)state;
    open_it(&s, &alone);
    fake_space(disk, 256 << 10);
    while (insert(&s, ++n, &e) == 0)
        assert_true(n < 1000);
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_int_equal(e.status.subject, 3); /* RFC 3463: 4.3.1, mail system full */
    assert_int_equal(e.status.detail, 1);
    fake_space(disk, 0);
    assert_int_equal(insert(&s, n, &e), 0);
    assert_int_equal(count(&s), n);
    sql_close(&s);
}

static void test_errors(void **state)
{
    struct sql s;
    struct err e;

    (void)state;
    open_it(&s, &alone);
    fake_fail(disk, FAKE_SYNC, 1, EIO, false);
    assert_int_equal(insert(&s, 1, &e), -1);
    assert_int_equal(e.class, ERR_TEMPORARY);
    sql_close(&s);
    assert_int_equal(try_open(&s, &sys, "/sql/none.db", &alone, &e), -1);
    assert_int_equal(e.os, ENOENT);
}

/* On a real disk: against another connection, and the locks of the sqlite3 program. */
static void test_one_connection(void **state)
{
    struct flock shared = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0x40000002, .l_len = 510};
    char dir[64], path[96];
    struct sql s, other;
    struct err e;
    int fd;

    (void)state;
    assert_int_equal(temp_dir_make(dir, sizeof dir, NULL, "sql"), 0);
    (void)snprintf(path, sizeof path, "%s/x.db", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (try_open(&s, &sys_real, path, &alone, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(insert(&s, 1, &e), 0);
    assert_int_equal(try_open(&other, &sys_real, path, &alone, &e), -1);
    assert_int_equal(fcntl(fd, F_SETLK, &shared), -1);
    assert_true(errno == EAGAIN || errno == EACCES);
    sql_close(&s);
    assert_int_equal(fcntl(fd, F_SETLK, &shared), 0);
    assert_int_equal(close(fd), 0);
    if (try_open(&s, &sys_real, path, &alone, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(count(&s), 1);
    sql_close(&s);
    assert_int_equal(temp_dir_remove(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_other_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commits_are_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grouped_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test(test_one_connection),
    };

    return cmocka_run_group_tests_name("core_vfs", tests, NULL, NULL);
}
