#include "mail/rfc2047.h"

#include <stdio.h>

#include "base/unit_test.h"
#include "base/utf8.h"

#include "mail/testdata.h"

static void test_decode(void **state)
{
    static const struct {
        const char *text, *decoded;
    } rows[] = {
        /* RFC 2047 8 */
        {"=?ISO-8859-1?Q?a?=", "a"},
        {"=?ISO-8859-1?Q?a?= b", "a b"},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"},
        {"=?ISO-8859-1?Q?a_b?=", "a b"},
        {"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
        {"=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"},
        {"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n "
         "=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example."},
        {"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"}, /* RFC 2231 5 */
        {"=?utf-8?q?=c3?= =?utf-8?q?=a4?=", "\xc3\xa4"},  /* a character torn in two */
        {"plain\r\n folded", "plain folded"},
        {"plain \r\n\t folded", "plain folded"},
        {"  trimmed\t", "trimmed"},
        {"raw \xc3\xa4", "raw \xc3\xa4"},
        {"raw \xe4", "raw \xc3\xa4"}, /* not UTF-8: windows-1252 */
        {"a=?utf-8?q?=c3=a4?=b", "a\xc3\xa4"
                                 "b"},
        {"=?utf-8?q?a?b?=", "a?b"},
        {"=?utf-8?q?a b?=", "a b"},
        {"=?x-unknown?q?=c3=a4?=", "\xc3\xa4"},
        {"=?iso-2022-jp?b?GyRCRnxLXDhsGyhC?=", "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
        {"=?gb2312?b?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87"},
        {"=?koi8-r?q?=D0=D2=C9=D7=C5=D4?=", "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"},
        {"=?utf-8?q?=0d=0aBcc:_x?=", "  Bcc: x"}, /* never a line end */
        {"=?utf-8?q?=c2=85?=", " "},
        {"=?utf-8?q?=ZZ=4?=", "=ZZ=4"},
        /* hostile.md 102: text stays text */
        {"=?utf-8?q?", "=?utf-8?q?"},
        {"=?utf-8?q?a", "=?utf-8?q?a"},
        {"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"},
        {"=?utf-8?x?a?=", "=?utf-8?x?a?="},
        {"=??q?a?=", "=??q?a?="},
        {"=?", "=?"},
        {"=?=?=?", "=?=?=?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 4096);
        assert_int_equal(rfc2047_decode(str_c(rows[i].text), 4096, &out), 0);
        if (!str_eq(buf_str(&out), str_c(rows[i].decoded)))
            fail_msg("%s: %.*s", rows[i].text, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
}

/* hostile.md 102: linear, bounded */
static void test_many(void **state)
{
    struct buf in, out;
    (void)state;
    buf_init(&in, 8 << 20);
    buf_init(&out, 8 << 20);
    for (int i = 0; i < 100000; i++)
        buf_put(&in, STR("=?utf-8?q?=c3=a4?= "));
    assert_int_equal(rfc2047_decode(buf_str(&in), 1000001, &out), 0);
    assert_int_equal(buf_len(&out), 200000);
    buf_clear(&out);
    assert_int_equal(rfc2047_decode(buf_str(&in), 1001, &out), 0);
    assert_true(buf_len(&out) == 1000 && utf8_valid(buf_str(&out)));
    buf_clear(&in);
    buf_clear(&out);
    for (int i = 0; i < 100000; i++)
        buf_put(&in, STR("=?utf-8?q?"));
    assert_int_equal(rfc2047_decode(buf_str(&in), 8 << 20, &out), 0);
    assert_true(str_eq(buf_str(&in), buf_str(&out)));
    char long_charset[1100] = "=?";
    memset(long_charset + 2, 'x', 1000);
    memcpy(long_charset + 1002, "?q?a?=", 7);
    buf_clear(&out);
    rfc2047_decode(str_c(long_charset), 4096, &out);
    assert_true(str_eq(buf_str(&out), str_c(long_charset)));
    buf_done(&in);
    buf_done(&out);
}

static void check_lines(struct str s)
{
    struct str line;
    while (s.n > 0) {
        str_cut(&s, '\n', &line);
        bool word = str_find_str(line, STR("=?")) >= 0;
        assert_true(line.n <= (word ? 77u : 79u));
    }
}

static void test_encode(void **state)
{
    static const struct {
        const char *text, *encoded;
        enum rfc2047_place place;
    } rows[] = {
        {"Hello", "Hello", RFC2047_TEXT},
        {"a b\xc3\xa4"
         "c d",
            "a =?utf-8?q?b=C3=A4c?= d", RFC2047_TEXT},
        {"a =?b", "a =?utf-8?b?PT9i?=", RFC2047_TEXT},
        {"\xe6\x97\xa5\xe6\x9c\xac", "=?utf-8?b?5pel5pys?=", RFC2047_TEXT},
        {"a\r\nBcc: x", "a  Bcc: x", RFC2047_TEXT}, /* hostile.md 158: no second line */
        {"Joe Q. Public", "\"Joe Q. Public\"", RFC2047_PHRASE},
        {"Mary \"x\" \\", "\"Mary \\\"x\\\" \\\\\"", RFC2047_PHRASE},
        {"Mary Smith", "Mary Smith", RFC2047_PHRASE},
        {"J\xc3\xb6rg (x)", "=?utf-8?q?J=C3=B6rg_=28x=29?=", RFC2047_PHRASE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 4096);
        assert_int_equal(rfc2047_encode(str_c(rows[i].text), rows[i].place, 9, &out), 0);
        if (!str_eq(buf_str(&out), str_c(rows[i].encoded)))
            fail_msg("%s: %.*s", rows[i].text, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
}

/* What is encoded decodes to itself, at every length and column, on short lines. */
static void test_round_trip(void **state)
{
    struct buf text, out, back;
    (void)state;
    buf_init(&text, 4096);
    buf_init(&out, 65536);
    buf_init(&back, 4096);
    for (unsigned n = 0; n < 120; n++) {
        static const char *const pieces[] = {"\xc3\xa4", "\xf0\x9f\x90\x8e", "abc", " word", "=?"};
        buf_put(&text, str_c(pieces[n * 7 % 5]));
        for (size_t column = 0; column < 80; column += 13) {
            buf_clear(&out);
            buf_clear(&back);
            assert_int_equal(rfc2047_encode(buf_str(&text), RFC2047_TEXT, column, &out), 0);
            assert_int_equal(rfc2047_decode(buf_str(&out), 4096, &back), 0);
            if (!str_eq(str_trim(buf_str(&text)), buf_str(&back)))
                fail_msg("%.*s: %.*s", STR_ARG(buf_str(&text)), STR_ARG(buf_str(&out)));
            check_lines(str_from(buf_str(&out), (size_t)(str_find(buf_str(&out), '\n') + 1)));
        }
    }
    buf_done(&text);
    buf_done(&out);
    buf_done(&back);
}

static void fix_macro(struct buf *s)
{
    static const struct str macro = STR_INIT(" UNICODE_REPLACEMENT_CHAR_UTF8");
    ptrdiff_t at = str_find_str(buf_str(s), macro);
    if (at < 0)
        return;
    struct buf fixed;
    struct str rest = str_from(buf_str(s), (size_t)at + macro.n);
    buf_init(&fixed, 4096);
    buf_put(&fixed, str_head(buf_str(s), (size_t)at));
    buf_put(&fixed, STR("\xef\xbf\xbd"));
    buf_put(&fixed, str_starts(rest, STR(" ")) ? str_from(rest, 1) : rest);
    buf_done(s);
    *s = fixed;
}

static bool dovecot_row(const json_t *row, struct buf *got)
{
    struct buf input, wanted;
    testdata_string(json_object_get(row, "input"), &input);
    testdata_string(json_object_get(row, "output"), &wanted);
    fix_macro(&wanted);
    rfc2047_decode(buf_str(&input), 4096, got);
    bool same = str_eq(buf_str(got), buf_str(&wanted));
    buf_done(&input);
    buf_done(&wanted);
    return same;
}

static bool mail_parser_row(const json_t *row, struct buf *got)
{
    struct buf header;
    testdata_string(json_object_get(row, "header"), &header);
    rfc2047_decode(buf_str(&header), 4096, got);
    buf_done(&header);
    return testdata_is(json_object_get(row, "expected"), buf_str(got));
}

/* What Dovecot encodes, decodes to the text that it was: their choice of words is their own. */
static bool dovecot_encoded_row(const json_t *row, struct buf *got)
{
    struct buf encoded, input, plain, ours;
    testdata_string(json_object_get(row, "input"), &input);
    testdata_string(json_object_get(row, "output"), &encoded);
    buf_init(&plain, 4096);
    buf_init(&ours, 4096);
    rfc2047_decode(buf_str(&encoded), 4096, &plain);
    rfc2047_encode(buf_str(&input), RFC2047_TEXT, 0, got);
    rfc2047_decode(buf_str(got), 4096, &ours);
    bool same = str_eq(buf_str(&ours), buf_str(&plain));
    buf_done(&encoded);
    buf_done(&input);
    buf_done(&plain);
    buf_done(&ours);
    return same;
}

static void test_others(void **state)
{
    (void)state;
    assert_true(
        testdata_table("mime/dovecot-mail-tables/message-header-decode.message_header_decode.json",
            dovecot_row, 100));
    assert_true(testdata_table("mime/mail-parser-fields/unstructured.json", mail_parser_row, 80));
    assert_true(
        testdata_table("mime/dovecot-mail-tables/message-header-encode.message_header_encode.json",
            dovecot_encoded_row, 80));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
