
#include "base/arena.h"

#include "base/mem.h"
#include "base/unit_test.h"

static void test_lifetime(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 1 << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n < 5000; n += 37) {
            char *p = arena_alloc(&a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            memset(p, round, n);
        }
        arena_reset(&a);
        assert_int_equal(a.used, 0);
    }
    arena_done(&a);
}

static void test_ceiling(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, 100);
    assert_non_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, 64));
    assert_null(arena_alloc(&a, PTRDIFF_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_non_null(arena_alloc(&a, 32));
    arena_done(&a);
}

static void test_strings(void **state)
{
    struct arena a;
    struct str copy;

    (void)state;
    arena_init(&a, 1000);
    assert_true(arena_dup(&a, STR("abc"), &copy));
    assert_string_equal(copy.p, "abc");
    assert_true(str_eq(arena_printf(&a, "%d-%s", 5, "x"), STR("5-x")));
    mem_fail_at(1);
    arena_done(&a);
    assert_false(arena_dup(&a, STR("abc"), &copy));
    mem_fail_at(0);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifetime),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
