/* control.db itself: files that are not ours, and more addresses than memory holds. */
#include "core/directory/directory_test.h"

static void set_version(const char *sql_text)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), 0);
    assert_int_equal(sqlite3_exec(db, sql_text, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

FIBER_TEST(test_files_that_are_not_ours)
{
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct err e = {0};
    FILE *f;

    directory_close(&d);
    set_version("PRAGMA user_version=2");
    refused(directory_open(&d, &s, &e), &e, "newer version of veredus (format 2");
    set_version("PRAGMA user_version=1; PRAGMA application_id=7");
    refused(directory_open(&d, &s, &e), &e, "not a file of veredus");
    assert_int_equal(unlink(db_path), 0);
    f = fopen(db_path, "w");
    (void)fputs("this is no database, but it is long enough to look at, is it not?", f);
    (void)fclose(f);
    assert_int_equal(chmod(db_path, 0600), 0);
    refused(directory_open(&d, &s, &e), &e, "not a database");
    assert_int_equal(chmod(db_path, 0644), 0);
    refused(directory_open(&d, &s, &e), &e, "chmod 600");
    s.path = "/nonexistent/control.db";
    refused(directory_open(&d, &s, &e), &e, "No such file");
}

FIBER_TEST(test_hundred_thousand)
{
    enum {
        MANY = 100000
    };
    struct directory_settings s = settings();
    struct directory *d = open_it(&s);
    struct directory_counts counts;
    struct resolution r;
    struct err e = {0};
    sqlite3 *db;

    add_domain(d, "example.test");
    directory_close(&d);
    assert_int_equal(sqlite3_open(db_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                         "PRAGMA locking_mode=EXCLUSIVE;"
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT "
                         "100000) INSERT INTO accounts SELECT i, printf('user%d@example.test', i),"
                         "printf('user%d@example.test', i), 'example.test', 1, '', 0, 0 FROM n;"
                         "UPDATE settings SET value = 100000 WHERE name = 'account'",
                         NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    d = open_it(&s);
    directory_counts(d, &counts);
    assert_int_equal(counts.held, MANY);
    if (directory_memory(d) / MANY > 130)
        fail_msg("%llu octets an address", (unsigned long long)(directory_memory(d) / MANY));
    directory_resolve(d, STR("user99999+x@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_LOCAL);
    directory_close(&d);
    s.memory = 1000;
    d = open_it(&s);
    for (int i = 1; i < 5000; i++) {
        char address[64];
        (void)snprintf(address, sizeof address, "%s%d@example.test", i % 2 ? "user" : "no", i);
        directory_resolve(d, str_c(address), IC_STRANGER, &r);
        assert_int_equal(r.verdict, i % 2 ? IC_LOCAL : IC_REFUSED);
    }
    directory_counts(d, &counts);
    assert_true(counts.held <= 1000);
    /* What was not read changes in the file, and memory does not go on believing. */
    must(directory_account_enable(d, STR("user4999@example.test"), false, &e), &e);
    directory_resolve(d, STR("user4999@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.why.status.subject, 2);
    add_account(d, "no4998@example.test");
    directory_resolve(d, STR("no4998@example.test"), IC_STRANGER, &r);
    assert_int_equal(r.verdict, IC_LOCAL);
    directory_close(&d);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        ROW(test_files_that_are_not_ours),
        ROW(test_hundred_thousand),
    };

    return cmocka_run_group_tests_name("core_directory_file", tests, NULL, NULL);
}
