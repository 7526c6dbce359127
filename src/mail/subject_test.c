#include "mail/subject.h"

#include <stdio.h>

#include "base/unit_test.h"

#include "mail/header.h"
#include "mail/message_id.h"
#include "mail/testdata.h"

static void test_base(void **state)
{
    static const struct {
        const char *field, *base;
        bool reply;
    } rows[] = {
        /* RFC 5256 2.1 */
        {"test", "test", false},
        {"Re: test", "test", true},
        {"RE : test", "test", true},
        {"re[4]: test", "test", true},
        {"Fwd: Re: FW: test", "test", true},
        {"test (fwd) (FWD)  ", "test", true},
        {"[list] test", "test", false},
        {"[list] Re: [list] test", "test", true},
        {"[list]", "[list]", false}, /* never the last thing */
        {"[a] [b]", "[b]", false},
        {"[fwd: test]", "test", true},
        {"[fwd: [list] re: test (fwd)]", "test", true},
        {"Re:", "", true},
        {"a\r\n\t b  c", "a b c", false},
        {"=?utf-8?q?Re:_=C3=A4?=", "\xc3\xa4", true},
        {"Reply", "Reply", false},
        {"Re[a]b: x", "Re[a]b: x", false},
        {"", "", false},
        {"[", "[", false},
        {"[[a]", "[[a]", false},
        {"(fwd)", "", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        bool reply;
        buf_init(&out, SUBJECT_KEY_MAX);
        subject_base(str_c(rows[i].field), &out, &reply);
        if (!str_eq(buf_str(&out), str_c(rows[i].base)) || reply != rows[i].reply)
            fail_msg("%s: %.*s %d", rows[i].field, STR_ARG(buf_str(&out)), reply);
        buf_done(&out);
    }
}

static void test_long(void **state)
{
    struct buf field, out;
    bool reply;
    (void)state;
    buf_init(&field, 8 << 20);
    buf_init(&out, SUBJECT_KEY_MAX);
    for (int i = 0; i < 1000000; i++)
        buf_put(&field, STR("[a]"));
    subject_base(buf_str(&field), &out, &reply);
    assert_true(buf_ok(&out));
    buf_done(&field);
    buf_done(&out);
}

static void test_ids(void **state)
{
    static const struct {
        const char *field, *id; /* NULL: none */
    } rows[] = {
        {"<a@b>", "a@b"},
        {" (comment) <a@b> (more)", "a@b"},
        {"<a\r\n @b>", "a@b"}, /* hostile.md 104: folded within */
        {"a@b", "a@b"},
        {"<a@b", NULL},
        {"a@b>", NULL},
        {"a b", NULL},
        {"<>", NULL},
        {"", NULL},
        {"\"<x@y>\" <a@b>", "a@b"},
        {"<\"a b\"@c>", "\"ab\"@c"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 4096);
        bool found = message_id_parse(str_c(rows[i].field), &out);
        if (found != (rows[i].id != NULL) || (found && !str_eq(buf_str(&out), str_c(rows[i].id))))
            fail_msg("%s: %.*s", rows[i].field, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
    /* hostile.md 104: 100 KiB long */
    struct buf field, out;
    buf_init(&field, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_put_c(&field, '<');
    for (int i = 0; i < 100 * 1024; i++)
        buf_put_c(&field, 'x');
    buf_put(&field, STR("@b> <c@d>"));
    struct str rest = buf_str(&field);
    assert_true(message_id_next(&rest, &out));
    assert_true(str_eq(buf_str(&out), STR("c@d")));
    assert_false(message_id_next(&rest, &out));
    buf_done(&field);
    buf_done(&out);
}

/* ---- other people's tables: they fold case, we leave that to who compares */

static bool mox_subject_row(const json_t *row, struct buf *got)
{
    struct buf field, want;
    bool reply;
    json_t *args = json_object_get(row, "args");
    testdata_string(json_array_get(args, 0), &field);
    testdata_string(json_array_get(args, 1), &want);
    subject_base(buf_str(&field), got, &reply);
    bool same = str_eq_ascii(buf_str(got), buf_str(&want)) &&
                reply == json_is_true(json_array_get(args, 2));
    buf_done(&field);
    buf_done(&want);
    return same;
}

static bool mox_id_row(const json_t *row, struct buf *got)
{
    struct buf field, want;
    json_t *args = json_object_get(row, "args");
    testdata_string(json_array_get(args, 0), &field);
    testdata_string(json_array_get(args, 1), &want);
    bool found = message_id_parse(buf_str(&field), got);
    bool same = found == json_is_null(json_array_get(args, 3)) &&
                str_eq_ascii(buf_str(got), buf_str(&want));
    buf_done(&field);
    buf_done(&want);
    return same;
}

/* "[ ] string { \"user@host\" , \"b@c\" }" or null */
static bool mox_references_row(const json_t *row, struct buf *got)
{
    struct buf field;
    struct header_field f;
    json_t *args = json_object_get(row, "args");
    struct str want = str_c(json_string_value(json_object_get(json_array_get(args, 1), "go")));
    testdata_string(json_array_get(args, 0), &field);
    struct header_iter it = header_iter(buf_str(&field));
    bool same = header_find(&it, STR("References"), &f);
    struct str before;
    for (str_cut(&want, '{', &before); same && str_cut(&want, '"', &before);) {
        struct str id;
        size_t start = buf_len(got);
        str_cut(&want, '"', &id);
        same = message_id_next(&f.value, got) && str_eq_ascii(str_from(buf_str(got), start), id);
    }
    same = same && !message_id_next(&f.value, got);
    buf_done(&field);
    return same;
}

static bool mail_parser_row(const json_t *row, struct buf *got)
{
    struct buf field;
    json_t *want = json_object_get(row, "expected"), *one;
    size_t i;
    testdata_string(json_object_get(row, "header"), &field);
    struct str rest = buf_str(&field);
    bool same = true;
    if (json_array_size(want) <= 1) { /* a Message-ID; their null is a single empty one */
        bool found = message_id_parse(rest, got);
        same = json_is_null(want) ? !found
                                  : found && testdata_is(json_array_get(want, 0), buf_str(got));
    } else {
        json_array_foreach(want, i, one)
        {
            size_t start = buf_len(got);
            same &= message_id_next(&rest, got) && testdata_is(one, str_from(buf_str(got), start));
        }
    }
    buf_done(&field);
    return same;
}

static void test_others(void **state)
{
    (void)state;
    assert_true(testdata_table("mime/mox-tables/message.threadsubject.json", mox_subject_row, 90));
    assert_true(testdata_table("mime/mox-tables/message.messageid.json", mox_id_row, 90));
    assert_true(
        testdata_table("mime/mox-tables/message.referencedids.json", mox_references_row, 90));
    assert_true(testdata_table("mime/mail-parser-fields/id.json", mail_parser_row, 90));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
