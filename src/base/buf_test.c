
#include "base/buf.h"

#include "base/mem.h"
#include "base/unit_test.h"

static void test_ceiling(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_int_equal(buf_put(&b, STR("12345678")), 0);
    assert_int_equal(buf_put(&b, STR("90")), 0);
    assert_int_equal(buf_put(&b, STR("x")), -1);
    assert_false(buf_ok(&b));
    assert_int_equal(buf_put(&b, STR("")), -1);
    assert_true(str_eq(buf_str(&b), STR("1234567890")));
    buf_clear(&b);
    assert_int_equal(buf_printf(&b, "%s", "1234567890"), 0);
    assert_int_equal(buf_printf(&b, "%d", 1), -1);
    buf_done(&b);
}

static void test_consume(void **state)
{
    struct buf b;
    uint64_t in = 0, out = 0;

    (void)state;
    buf_init(&b, 4096);
    for (int round = 0; round < 5000; round++) {
        for (int i = 0; i < round % 7; i++)
            if (buf_len(&b) < 4000)
                assert_int_equal(buf_put_c(&b, (char)(in++ & 127)), 0);
        for (int i = 0; i < round % 5 && buf_len(&b); i++) {
            struct str all = buf_str(&b);
            assert_non_null(all.p);
            assert_int_equal(all.p[0], (char)(out++ & 127));
            buf_consume(&b, 1);
        }
    }
    assert_true(buf_ok(&b) && in - out == buf_len(&b));
    buf_truncate(&b, 1);
    assert_int_equal(buf_len(&b), 1);
    buf_done(&b);
}

static void test_numbers(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 64);
    buf_put_u64(&b, 0);
    buf_put_c(&b, ' ');
    buf_put_u64(&b, UINT64_MAX);
    assert_true(str_eq(buf_str(&b), STR("0 18446744073709551615")));
    buf_done(&b);
}

static void test_no_memory(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 64);
    mem_fail_at(1);
    assert_int_equal(buf_put(&b, STR("a")), -1);
    mem_fail_at(0);
    assert_false(buf_ok(&b));
    buf_clear(&b);
    assert_int_equal(buf_put(&b, STR("a")), 0);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_consume),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
