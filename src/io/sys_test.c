#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/temp_dir.h"
#include "base/unit_test.h"

static const struct sys *const sys = &sys_real;
static char dir[64];

static const char *path(const char *name)
{
    static char text[2][128];
    static unsigned turn;
    char *p = text[turn++ % 2];

    snprintf(p, sizeof text[0], "%s/%s", dir, name);
    return p;
}

static int set_up(void **state)
{
    (void)state;
    return temp_dir_make(dir, sizeof dir, NULL, "sys");
}

static int tear_down(void **state)
{
    (void)state;
    return temp_dir_remove(dir);
}

static void test_file(void **state)
{
    char text[16] = "";
    struct iovec v[2] = {{text, 3}, {text + 3, 4}};
    struct sys_stat st;
    int h;

    (void)state;
    assert_int_equal(sys->open(sys, path("f"), O_RDWR, 0), -ENOENT);
    h = sys->open(sys, path("f"), O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(h >= 0);
    assert_true(fcntl(h, F_GETFD) & FD_CLOEXEC);
    memcpy(text, "abcdefg", 7);
    assert_int_equal(sys->pwritev(sys, h, v, 2, 5), 7);
    assert_int_equal(sys->fdatasync(sys, h), 0);
    assert_int_equal(sys->fsync(sys, h), 0);
    assert_int_equal(sys->syncfs(sys, h), 0);
    memset(text, 'x', sizeof text);
    assert_int_equal(sys->pread(sys, h, text, sizeof text, 3), 9); /* short: the end */
    assert_memory_equal(text, "\0\0abcdefg", 9);
    assert_int_equal(sys->pread(sys, h, text, sizeof text, 100), 0);
    assert_int_equal(sys->fstat(sys, h, &st), 0);
    assert_int_equal(st.size, 12);
    assert_int_equal(st.mode, 0600);
    assert_int_equal(st.uid, getuid());
    assert_false(st.is_dir);
    assert_true(llabs(st.mtime_ns - sys->wall_ns(sys)) < (int64_t)3600 * 1000000000);
    assert_int_equal(sys->truncate(sys, h, 6), 0);
    assert_int_equal(sys->stat(sys, path("f"), &st), 0);
    assert_int_equal(st.size, 6);
    assert_int_equal(sys->close(sys, h), 0);
    assert_int_equal(sys->close(sys, h), -EBADF);
    assert_int_equal(sys->pread(sys, h, text, 1, 0), -EBADF);
    assert_int_equal(sys->unlink(sys, path("f")), 0);
    assert_int_equal(sys->unlink(sys, path("f")), -ENOENT);
    assert_int_equal(sys->stat(sys, path("f"), &st), -ENOENT);
}

static void test_preallocate(void **state)
{
    int h = sys->open(sys, path("p"), O_RDWR | O_CREAT, 0600), rc;
    char text[4] = "";
    struct iovec v = {text, 4};
    struct sys_stat st;

    (void)state;
    memcpy(text, "keep", 4);
    assert_int_equal(sys->pwritev(sys, h, &v, 1, 0), 4);
    rc = sys->preallocate(sys, h, 0, 1 << 20);
    if (rc == 0) {
        assert_int_equal(sys->fstat(sys, h, &st), 0);
        assert_int_equal(st.size, 1 << 20);
        assert_true(st.blocks >= 1 << 20);
        memset(text, 'x', 4);
        assert_int_equal(sys->pread(sys, h, text, 4, 0), 4);
        assert_memory_equal(text, "keep", 4);
        assert_int_equal(sys->pread(sys, h, text, 4, (1 << 20) - 4), 4);
        assert_memory_equal(text, "\0\0\0\0", 4);
    } else {
        assert_int_equal(rc, -EOPNOTSUPP);
    }
    assert_int_equal(sys->close(sys, h), 0);
    assert_int_equal(sys->unlink(sys, path("p")), 0);
}

static void test_lock(void **state)
{
    int a = sys->open(sys, path("l"), O_RDWR | O_CREAT, 0600);
    int b = sys->open(sys, path("l"), O_RDWR, 0);

    (void)state;
    assert_int_equal(sys->lock(sys, a), 0);
    assert_int_equal(sys->lock(sys, b), -EAGAIN);
    assert_int_equal(sys->close(sys, a), 0);
    assert_int_equal(sys->lock(sys, b), 0);
    assert_int_equal(sys->close(sys, b), 0);
    assert_int_equal(sys->unlink(sys, path("l")), 0);
}

static int count_name(void *arg, const char *name)
{
    unsigned *seen = arg;

    if (strcmp(name, "a") == 0)
        *seen |= 1;
    else if (strcmp(name, ".b") == 0)
        *seen |= 2;
    else if (strcmp(name, "sub") == 0)
        *seen |= 4;
    else
        *seen |= 8;
    return 0;
}

static int stop_listing(void *arg, const char *name)
{
    (void)name;
    ++*(unsigned *)arg;
    return -ECANCELED;
}

static void test_directory(void **state)
{
    unsigned seen = 0, calls = 0;
    struct sys_stat st;
    int h = sys->open(sys, path("x"), O_RDWR | O_CREAT, 0600);

    (void)state;
    assert_int_equal(sys->close(sys, h), 0);
    assert_int_equal(sys->mkdir(sys, path("sub"), 0700), 0);
    assert_int_equal(sys->mkdir(sys, path("sub"), 0700), -EEXIST);
    assert_int_equal(sys->stat(sys, path("sub"), &st), 0);
    assert_true(st.is_dir);
    assert_int_equal(sys->link(sys, path("x"), path("a")), 0);
    assert_int_equal(sys->link(sys, path("x"), path("a")), -EEXIST);
    assert_int_equal(sys->rename(sys, path("x"), path(".b")), 0);
    assert_int_equal(sys->list(sys, dir, count_name, &seen), 0);
    assert_int_equal(seen, 7);
    assert_int_equal(sys->list(sys, dir, stop_listing, &calls), -ECANCELED);
    assert_int_equal(calls, 1);
    assert_int_equal(sys->list(sys, path("none"), count_name, &seen), -ENOENT);
    assert_int_equal(sys->sync_dir(sys, dir), 0);
    assert_int_equal(sys->sync_dir(sys, path("a")), -ENOTDIR);
    assert_int_equal(sys->unlink(sys, path("a")), 0);
    assert_int_equal(sys->unlink(sys, path(".b")), 0);
    assert_int_equal(rmdir(path("sub")), 0);
}

static void test_space_and_clocks(void **state)
{
    struct sys_space space;
    int64_t mono = sys->mono_ns(sys);
    uint64_t a = 0, b = 0;

    (void)state;
    assert_int_equal(sys->space(sys, dir, &space), 0);
    assert_true(space.total > 0 && space.free <= space.total);
    assert_true(space.free_inodes <= space.total_inodes);
    assert_int_equal(sys->space(sys, path("none"), &space), -ENOENT);
    assert_true(sys->mono_ns(sys) >= mono);
    assert_true(llabs(sys->wall_ns(sys) / 1000000000 - (int64_t)time(NULL)) <= 1);
    sys->random(sys, &a, sizeof a);
    sys->random(sys, &b, sizeof b);
    assert_true(a != b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_preallocate),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_space_and_clocks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
