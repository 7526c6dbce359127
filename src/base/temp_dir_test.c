#include "base/temp_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unit_test.h"

static void make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
}

static void test_make_and_remove(void **state)
{
    char kept[64], path[64], name[128];
    struct stat st;

    (void)state;
    assert_int_equal(temp_dir_make(kept, sizeof kept, NULL, "kept"), 0);
    assert_int_equal(temp_dir_make(path, sizeof path, kept, "gone"), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    snprintf(name, sizeof name, "%s/file", kept);
    make_file(name);
    snprintf(name, sizeof name, "%s/deep", path);
    assert_int_equal(mkdir(name, 0700), 0);
    snprintf(name, sizeof name, "%s/deep/file", path);
    make_file(name);
    snprintf(name, sizeof name, "%s/link", path);
    assert_int_equal(symlink(kept, name), 0);

    assert_int_equal(temp_dir_remove(path), 0);
    assert_int_equal(stat(path, &st), -1);
    snprintf(name, sizeof name, "%s/file", kept); /* behind the link */
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(temp_dir_remove(kept), 0);
    assert_int_equal(temp_dir_remove(kept), -1);
    assert_int_equal(errno, ENOENT);
}

static void test_cannot_be_made(void **state)
{
    char path[64];

    (void)state;
    assert_int_equal(temp_dir_make(path, 12, "/tmp", "name"), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    assert_int_equal(temp_dir_make(path, sizeof path, "/nowhere", "name"), -1);
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_and_remove),
        cmocka_unit_test(test_cannot_be_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
