#include "base/base64.h"

#include "base/unit_test.h"

static const struct {
    struct str plain, coded;
} pairs[] = {
    /* RFC 4648 10 */
    {STR_INIT(""), STR_INIT("")},
    {STR_INIT("f"), STR_INIT("Zg==")},
    {STR_INIT("fo"), STR_INIT("Zm8=")},
    {STR_INIT("foo"), STR_INIT("Zm9v")},
    {STR_INIT("foob"), STR_INIT("Zm9vYg==")},
    {STR_INIT("fooba"), STR_INIT("Zm9vYmE=")},
    {STR_INIT("foobar"), STR_INIT("Zm9vYmFy")},
    {STR_INIT("\xfb\xff\xfe\0"), STR_INIT("+//+AA==")},
};

static void test_pairs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct buf out;
        char back[16];
        size_t n = 99;

        buf_init(&out, 100);
        assert_int_equal(base64_encode(pairs[i].plain, &out), 0);
        assert_true(str_eq(buf_str(&out), pairs[i].coded));
        assert_true(base64_decode(pairs[i].coded, back, pairs[i].plain.n, &n));
        assert_true(str_eq(str_of(back, n), pairs[i].plain));
        buf_done(&out);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"Zg", "RFC 4648 3.2: padding is required"},
        {"Zg=", "RFC 4648 3.2"},
        {"Zh==", "RFC 4648 3.5: bits that are not zero"},
        {"Zm9=", "RFC 4648 3.5"},
        {"Zm9v\r\n", "RFC 4648 3.3: a character outside of the alphabet"},
        {"Zm 9", "RFC 4648 3.3"},
        {"Zm9-", "RFC 4648 5 is another alphabet"},
        {"Zg==Zg==", "padding inside"},
        {"Z===", "three of padding"},
        {"====", "padding alone"},
        {"=", "padding alone"},
        {"*", "RFC 4954 4 is a matter of SASL"},
    };
    char out[64];
    size_t n = 99;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (base64_decode(str_c(rows[i].text), out, sizeof out, &n) || n != 99)
            fail_msg("%s: %s", rows[i].text, rows[i].why);
    assert_false(base64_decode(STR("Zm9v"), out, 2, &n));
}

static void test_ceiling(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 7);
    assert_int_equal(base64_encode(STR("foobar"), &out), -1);
    assert_int_equal(buf_len(&out), 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
