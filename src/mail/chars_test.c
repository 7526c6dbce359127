#include "mail/chars.h"

#include "base/unit_test.h"

static void test_classes(void **state)
{
    (void)state;
    static const char atext[] = "!#$%&'*+-/=?^_`{|}~", specials[] = "()<>[]:;@\\,.\" \t\x7f";
    for (const char *p = atext; *p; p++) /* RFC 5322 3.2.3 */
        assert_true(mail_is(*p, CHAR_ATEXT));
    for (const char *p = specials; *p; p++)
        assert_false(mail_is(*p, CHAR_ATEXT));
    for (const char *p = "()<>@,;:\\\"/[]?= "; *p; p++) /* RFC 2045 5.1 */
        assert_false(mail_is(*p, CHAR_TOKEN));
    for (const char *p = "!#$%&'*+-.^_`{|}~aZ09"; *p; p++)
        assert_true(mail_is(*p, CHAR_TOKEN));
    assert_false(
        mail_is(':', CHAR_FTEXT) || mail_is(' ', CHAR_FTEXT) || mail_is('\x80', CHAR_FTEXT));
    assert_true(mail_is('"', CHAR_FTEXT) && mail_is(' ', CHAR_QTEXT) && !mail_is('\0', CHAR_QTEXT));
    assert_true(mail_is('\xff', CHAR_UTF8));
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"", true},
        {"plain ascii text", true},
        {"\xc3\xa9", true},
        {"\xe2\x82\xac", true},
        {"\xf0\x9f\x90\x8e", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
        {"\xc0\xaf", false},         /* overlong */
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xed\xa0\x80", false}, /* surrogate */
        {"a\xe2\x82", false},    /* cut */
        {"\x80", false},
        {"\xff", false},
        {"0123456789\xe4", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (utf8_valid(str_c(rows[i].text)) != rows[i].valid)
            fail_msg("row %zu", i);
    for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 77) {
        char octets[4];
        uint32_t back = 0;
        if (c >= 0xd800 && c < 0xe000)
            continue;
        size_t n = utf8_encode(c, octets);
        assert_int_equal(utf8_decode(str_of(octets, n), &back), n);
        assert_int_equal(back, c);
    }
}

static void test_head(void **state)
{
    (void)state;
    assert_int_equal(utf8_head(STR("a\xe2\x82\xac"), 4).n, 4);
    assert_int_equal(utf8_head(STR("a\xe2\x82\xac"), 3).n, 1);
    assert_int_equal(utf8_head(STR("a\xe2\x82\xac"), 2).n, 1);
    assert_int_equal(utf8_head(STR("a\xe2\x82\xac"), 1).n, 1);
    assert_int_equal(utf8_head(STR("\x80\x80\x80\x80\x80\x80"), 5).n, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
