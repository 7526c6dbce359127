#include "base/err.h"

#include <errno.h>

#include "base/unit_test.h"

static void test_fill(void **state)
{
    struct err e = {0};

    (void)state;
    assert_int_equal(err_set(&e, ERR_PERMANENT, "test", "no %s", "luck"), -1);
    assert_string_equal(e.text, "no luck");
    assert_int_equal(err_prefix(&e, "line %d", 7), -1);
    assert_string_equal(e.text, "line 7: no luck");
    assert_int_equal(err_os(&e, ENOSPC, "test", "write %s", "f"), -1);
    assert_string_equal(e.text, "write f: No space left on device");
    assert_int_equal(e.class, ERR_TEMPORARY);
    assert_int_equal(e.status.detail, 1);
    assert_int_equal(err_set(NULL, ERR_BUG, "test", "x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
