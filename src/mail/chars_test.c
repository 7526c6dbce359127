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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
