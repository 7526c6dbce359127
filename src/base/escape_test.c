#include "base/escape.h"

#include "base/unit_test.h"

static const struct {
    struct str s;
    const char *text, *ascii, *json;
} rows[] = {
    {STR_INIT(""), "", "", ""},
    {STR_INIT("a b=c"), "a b=c", "a b=c", "a b=c"},
    {STR_INIT("\r\n\t\\\""), "\\r\\n\\t\\\\\\\"", "\\r\\n\\t\\\\\\\"", "\\r\\n\\t\\\\\\\""},
    {STR_INIT("\0\x1f\x7f"), "\\x00\\x1f\\x7f", "\\x00\\x1f\\x7f", "\\u0000\\u001f\\u007f"},
    {STR_INIT("\xc3\xbc"), "\xc3\xbc", "\\xc3\\xbc", "\xc3\xbc"},
    {STR_INIT("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80", "\\xf0\\x9f\\x98\\x80", "\xf0\x9f\x98\x80"},
    {STR_INIT("a\xc3"), "a\\xc3", "a\\xc3", "a\\ufffd"},
    {STR_INIT("\xed\xa0\x80"), "\\xed\\xa0\\x80", "\\xed\\xa0\\x80", "\\ufffd\\ufffd\\ufffd"},
    {STR_INIT("\xe2\x80\xa8"), "\\xe2\\x80\\xa8", "\\xe2\\x80\\xa8", "\\u2028"},
    {STR_INIT("\xc2\x9b"), "\\xc2\\x9b", "\\xc2\\x9b", "\\u009b"},
};

static void check_form(size_t row, enum escape_form form, const char *expected)
{
    struct buf out;
    char copy[64];

    buf_init(&out, 100);
    assert_int_equal(escape_put(&out, rows[row].s, form), 0);
    if (!str_eq(buf_str(&out), str_c(expected)))
        fail_msg("row %zu form %d: %.*s", row, form, STR_ARG(buf_str(&out)));
    assert_string_equal(escape_copy(copy, sizeof copy, rows[row].s, form).p, expected);
    assert_int_equal(escape_needed(rows[row].s, form), !str_eq(rows[row].s, str_c(expected)));
    buf_done(&out);
}

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_form(i, ESCAPE_TEXT, rows[i].text);
        check_form(i, ESCAPE_ASCII, rows[i].ascii);
        check_form(i, ESCAPE_JSON, rows[i].json);
    }
}

/* What is cut is cut between two whole steps. */
static void test_room(void **state)
{
    char copy[8];
    struct buf out;

    (void)state;
    assert_string_equal(escape_copy(copy, 5, STR("a\1b"), ESCAPE_TEXT).p, "a");
    assert_string_equal(escape_copy(copy, 6, STR("a\1b"), ESCAPE_TEXT).p, "a\\x01");
    assert_string_equal(escape_copy(copy, 1, STR("a"), ESCAPE_TEXT).p, "");
    buf_init(&out, 4);
    assert_int_equal(escape_put(&out, STR("a\1"), ESCAPE_TEXT), -1);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
