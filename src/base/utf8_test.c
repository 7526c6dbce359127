#include "base/utf8.h"

#include "base/unit_test.h"

static const struct {
    struct str s;
    bool valid;
} rows[] = {
    {STR_INIT(""), true},
    {STR_INIT("plain ascii, more than eight octets"), true},
    {STR_INIT("plain asc\xc3\xbc"), true},
    {STR_INIT("\xc2\x80\xdf\xbf"), true},
    {STR_INIT("\xe0\xa0\x80\xef\xbf\xbf"), true},
    {STR_INIT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), true},
    {STR_INIT("\x80"), false},             /* a continuation alone */
    {STR_INIT("\xc3"), false},             /* cut off */
    {STR_INIT("\xe2\x82"), false},         /* cut off */
    {STR_INIT("\xf0\x9f\x98"), false},     /* cut off */
    {STR_INIT("\xc0\xaf"), false},         /* overlong: RFC 3629 10 */
    {STR_INIT("\xe0\x80\xaf"), false},     /* overlong */
    {STR_INIT("\xf0\x80\x80\xaf"), false}, /* overlong */
    {STR_INIT("\xed\xa0\x80"), false},     /* surrogate: RFC 3629 3 */
    {STR_INIT("\xed\xbf\xbf"), false},     /* surrogate */
    {STR_INIT("\xf4\x90\x80\x80"), false}, /* above U+10FFFF */
    {STR_INIT("\xf8\x88\x80\x80\x80"), false},
    {STR_INIT("\xfe"), false},
    {STR_INIT("a\xc3z"), false},
};

static void test_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (utf8_valid(rows[i].s) != rows[i].valid)
            fail_msg("row %zu", i);
    assert_true(ascii_only(STR("0123456789")));
    assert_false(ascii_only(STR("0123456789\xc3")));
}

/* Every code point survives, and nothing else is written. RFC 3629 3 */
static void test_round_trip(void **state)
{
    char out[4];

    (void)state;
    for (uint32_t point = 0; point < 0x110002; point++) {
        struct str s = str_of(out, utf8_encode(point, out));
        bool none = point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF);
        if (none ? s.n != 0 : (s.n == 0 || utf8_next(&s) != point || s.n != 0))
            fail_msg("U+%04X", point);
    }
}

static void test_head(void **state)
{
    static const struct {
        struct str s;
        size_t n, expected;
    } heads[] = {
        {STR_INIT("abc"), 2, 2},
        {STR_INIT("abc"), 9, 3},
        {STR_INIT("a\xc3\xbc"), 2, 1},
        {STR_INIT("a\xc3\xbc"), 3, 3},
        {STR_INIT("\xf0\x9f\x98\x80"), 3, 0},
        {STR_INIT("\xf0\x9f\x98\x80x"), 4, 4},
        {STR_INIT("\x80\x80\x80\x80\x80\x80"), 5, 5}, /* no UTF-8: cut anywhere */
        {STR_INIT(""), 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        assert_int_equal(utf8_head(heads[i].s, heads[i].n).n, heads[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
