
#include "base/str.h"

#include "base/unit_test.h"

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, value;
        bool ok;
    } rows[] = {
        {"0", 10, 0, true},
        {"10", 10, 10, true},
        {"11", 10, 0, false},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
        {"18446744073709551616", UINT64_MAX, 0, false},
        {"99999999999999999999", UINT64_MAX, 0, false},
        {"", 10, 0, false},
        {"-1", 10, 0, false},
        {"+1", 10, 0, false},
        {" 1", 10, 0, false},
        {"1a", 10, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t v = 0;
        bool ok = str_to_u64(str_c(rows[i].text), rows[i].max, &v);
        if (ok != rows[i].ok || v != rows[i].value)
            fail_msg("row %zu: %s", i, rows[i].text);
    }
    uint64_t v = 0;
    assert_true(str_to_hex64(STR("fF"), 255, &v) && v == 255);
    assert_true(str_to_hex64(STR("ffffffffffffffff"), UINT64_MAX, &v) && v == UINT64_MAX);
    assert_false(str_to_hex64(STR("10000000000000000"), UINT64_MAX, &v));
    assert_false(str_to_hex64(STR("g"), UINT64_MAX, &v));
}

static void test_parts(void **state)
{
    struct str s = STR("one two"), head;

    (void)state;
    assert_true(str_cut(&s, ' ', &head) && str_eq(head, STR("one")) && str_eq(s, STR("two")));
    assert_false(str_cut(&s, ' ', &head));
    assert_true(str_eq(head, STR("two")) && str_empty(s));
    assert_true(str_eq(str_trim(STR(" \t a b\r\n")), STR("a b")));
    assert_true(str_eq(str_from(STR("abc"), 9), STR("")));
    assert_true(str_eq(str_sub(STR("abc"), 1, 9), STR("bc")));
    assert_int_equal(str_find_str(STR("abcabd"), STR("abd")), 3);
    assert_int_equal(str_find_str(STR("abc"), STR("x")), -1);
    assert_int_equal(str_find_last(STR("a.b.c"), '.'), 3);
    assert_true(str_empty(str_trim(STR_NONE)));
}

static void test_compare(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq_ascii(STR("MAIL"), STR("mail")));
    assert_false(str_eq_ascii(STR("\xc4"), STR("\xe4")));
    assert_true(str_starts_ascii(STR("From:<x>"), STR("FROM:")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends_ascii(STR("a.EXAMPLE"), STR(".example")));
    assert_true(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("b"), STR("ab")) > 0);
}

static void test_copy_c(void **state)
{
    char dst[4];

    (void)state;
    assert_true(str_copy_c(dst, sizeof dst, STR("abc")));
    assert_string_equal(dst, "abc");
    assert_false(str_copy_c(dst, sizeof dst, STR("abcd")));
    assert_string_equal(dst, "abc");
    assert_false(str_copy_c(dst, sizeof dst, STR("a\0b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_copy_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
