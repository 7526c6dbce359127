#include "mail/content_type.h"

#include <stdio.h>

#include "base/unit_test.h"

#include "mail/rfc2231.h"
#include "mail/testdata.h"

enum {
    PARAMS = 100
};

static void test_types(void **state)
{
    static const struct {
        const char *field, *type, *subtype, *charset; /* NULL type: makes no sense */
    } rows[] = {
        {"text/plain; charset=us-ascii (Plain text)", "text", "plain",
            "us-ascii"}, /* RFC 2045 5.1 */
        {"text/plain; charset=\"us-ascii\"", "text", "plain", "us-ascii"},
        {" Text / HTML ; CharSet = utf-8", "Text", "HTML", "utf-8"},
        {"text/plain; format=flowed\r\n\tcharset=x", "text", "plain", "x"}, /* no semicolon */
        {"text/plain\r\n charset=x", "text", "plain", "x"},
        {"text/plain;;; charset=x", "text", "plain", "x"},
        {"text/plain; charset=a; charset=b", "text", "plain", "a"}, /* the first counts */
        {"text; charset=x", NULL, NULL, "x"},
        {"text/", NULL, NULL, NULL},
        {"/plain", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
        {"text/plain/x; charset=y", NULL, NULL, "y"},
        {"multipart/mixed; boundary=\"a b\"", "multipart", "mixed", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct mime_value v;
        struct str charset = STR_NONE;
        arena_init(&a, 65536);
        bool ok = content_type_parse(&a, str_c(rows[i].field), PARAMS, &v);
        mime_param_find(&v, STR("charset"), &charset);
        if (ok != (rows[i].type != NULL) || !str_eq(v.value, str_c(rows[i].type)) ||
            !str_eq(v.subtype, str_c(rows[i].subtype)) || !str_eq(charset, str_c(rows[i].charset)))
            fail_msg("%s: %.*s/%.*s", rows[i].field, STR_ARG(v.value), STR_ARG(v.subtype));
        arena_done(&a);
    }
}

static void test_values(void **state)
{
    static const struct {
        const char *field, *name, *decoded; /* NULL: not there */
    } rows[] = {
        /* RFC 2231 3, 4, 4.1 */
        {"message/external-body; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu\"", "url",
            "ftp://cs.utk.edu"},
        {"a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title",
            "This is ***fun***"},
        {"a/b; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
         " title*2=\"isn't it!\"",
            "title", "This is even more ***fun*** isn't it!"},
        {"a/b; title*1=b; title*0=a", "title", "ab"}, /* order does not matter */
        {"a/b; title*0=a; title*2=c", "title", "a"},  /* hostile.md 99: a gap ends it */
        {"a/b; title*1=b", "title", NULL},
        {"a/b; title*00=b", "title", NULL},
        {"a/b; title*999999999999=b", "title", NULL},
        {"a/b; title*0*=utf-8''%c3; title*1*=%a4", "title", "\xc3\xa4"},
        {"a/b; title*1=\"b \"; title*0=\"a \"; title*2*=utf-8''%e2%98%95", "title",
            "a b \xe2\x98\x95"},
        {"a/b; title*=utf-8''%ZZ%4", "title", "%ZZ%4"},
        {"a/b; title*=x-unknown''%E4", "title", "\xc3\xa4"},
        {"a/b; title=plain; title*=utf-8''better", "title", "better"},
        {"a/b; title=\"=?utf-8?q?=c3=a4?= b\"", "title", "\xc3\xa4 b"}, /* RFC 2047 5 forbids it */
        {"a/b; title*=utf-8''a%0d%0aBcc:%20x", "title", "a  Bcc: x"},
        {"a/b; name=My File (1).pdf; x=y", "name", "My File"},
        {"a/b; name=My File.pdf; x=y", "name", "My File.pdf"},
        {"a/b; name=\"open", "name", "open"},
        {"a/b; name=\"a\\\"b\\\\c\"", "name", "a\"b\\c"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct mime_value v;
        struct buf out;
        arena_init(&a, 65536);
        buf_init(&out, RFC2231_VALUE_MAX);
        content_type_parse(&a, str_c(rows[i].field), PARAMS, &v);
        bool found = rfc2231_decode(&v, str_c(rows[i].name), &out);
        if (found != (rows[i].decoded != NULL) || !str_eq(buf_str(&out), str_c(rows[i].decoded)))
            fail_msg("%s: %.*s", rows[i].field, STR_ARG(buf_str(&out)));
        buf_done(&out);
        arena_done(&a);
    }
}

/* hostile.md 100: one decoded name */
static void test_file_names(void **state)
{
    static const struct {
        const char *disposition, *type, *name;
    } rows[] = {
        {"attachment; filename*0=\"a.ex\";\r\n filename*1=\"e\"", "a/b; name=x", "a.exe"},
        {"attachment; filename=\"a.exe\r\n \"", "a/b", "a.exe"},
        {"attachment; filename=\"\"", "a/b; name=\"b.txt\"", "b.txt"},
        {"attachment", "a/b; name*=iso-8859-1''%E4", "\xc3\xa4"},
        {"filename=a.txt", "a/b", "a.txt"},
        {"attachment", "a/b", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a;
        struct mime_value disposition, type;
        struct buf out;
        arena_init(&a, 65536);
        buf_init(&out, RFC2231_VALUE_MAX);
        content_disposition_parse(&a, str_c(rows[i].disposition), PARAMS, &disposition);
        content_type_parse(&a, str_c(rows[i].type), PARAMS, &type);
        bool found = rfc2231_file_name(&disposition, &type, &out);
        if (found != (rows[i].name != NULL) || !str_eq(buf_str(&out), str_c(rows[i].name)))
            fail_msg("%s: %.*s", rows[i].disposition, STR_ARG(buf_str(&out)));
        buf_done(&out);
        arena_done(&a);
    }
}

/* hostile.md 99 */
static void test_many(void **state)
{
    struct arena a;
    struct mime_value v;
    struct buf field, out;
    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&field, 1 << 20);
    buf_init(&out, RFC2231_VALUE_MAX);
    buf_put(&field, STR("a/b"));
    for (int i = 0; i < 10000; i++)
        buf_printf(&field, "; name*%d=x", i);
    assert_true(content_type_parse(&a, buf_str(&field), PARAMS, &v));
    assert_int_equal(v.count, PARAMS);
    assert_true(rfc2231_decode(&v, STR("name"), &out));
    assert_int_equal(buf_len(&out), PARAMS);
    for (unsigned max = 0; max < 20; max++) { /* limits hold at each value */
        assert_true(content_type_parse(&a, buf_str(&field), max, &v));
        assert_int_equal(v.count, max);
    }
    arena_done(&a);
    arena_init(&a, 200); /* no memory: the rest is left out */
    assert_true(content_type_parse(&a, buf_str(&field), PARAMS, &v));
    assert_true(v.count < PARAMS);
    arena_done(&a);
    buf_done(&field);
    buf_done(&out);
}

static void test_encodings(void **state)
{
    static const struct {
        const char *field;
        enum mime_encoding encoding;
    } rows[] = {
        {"base64", MIME_BASE64},
        {"Quoted-Printable", MIME_QUOTED_PRINTABLE},
        {"(comment) 8bit (more)", MIME_8BIT},
        {"\"base64\"", MIME_BASE64},
        {"x-unknown", MIME_UNKNOWN}, /* hostile.md 101 */
        {"base64 7bit", MIME_UNKNOWN},
        {"", MIME_7BIT},
        {"x-uuencode", MIME_UUENCODE},
        {"base64; x=y", MIME_BASE64},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str token;
        if (mime_encoding_parse(str_c(rows[i].field), &token) != rows[i].encoding)
            fail_msg("%s", rows[i].field);
    }
}

/* ---- other people's tables */

/* Their attributes: decoded, names in lower case, one a name, language apart. */
static bool same_attributes(const struct mime_value *v, const json_t *want, struct buf *got)
{
    json_t *pair;
    size_t i;
    json_array_foreach(want, i, pair)
    {
        const char *name = json_string_value(json_array_get(pair, 0));
        struct buf value;
        if (str_ends(str_c(name), STR("-language")))
            continue;
        buf_init(&value, RFC2231_VALUE_MAX);
        bool found = rfc2231_decode(v, str_c(name), &value);
        buf_printf(got, " %s=%.*s", name, STR_ARG(buf_str(&value)));
        bool same = found && testdata_is(json_array_get(pair, 1), buf_str(&value));
        buf_done(&value);
        if (!same)
            return false;
    }
    return true;
}

static bool mail_parser_row(const json_t *row, struct buf *got)
{
    struct arena a;
    struct buf header;
    struct mime_value v;
    const json_t *want = json_object_get(row, "expected");
    const json_t *type = json_object_get(want, "c_type"), *sub = json_object_get(want, "c_subtype");
    testdata_string(json_object_get(row, "header"), &header);
    arena_init(&a, 65536);
    bool slash = json_is_string(sub), ok, same;
    ok = content_type_parse(&a, buf_str(&header), PARAMS, &v);
    if (!ok && !slash && json_is_string(type))
        ok = content_disposition_parse(&a, buf_str(&header), PARAMS, &v);
    buf_printf(got, "%d %.*s/%.*s", ok, STR_ARG(v.value), STR_ARG(v.subtype));
    if (json_is_null(want))
        same = !ok;
    else
        same = ok && str_eq_ascii(str_c(json_string_value(type)), v.value) &&
               (!slash || str_eq_ascii(str_c(json_string_value(sub)), v.subtype)) &&
               same_attributes(&v, json_object_get(want, "attributes"), got);
    arena_done(&a);
    buf_done(&header);
    return same;
}

static bool dovecot_row(const json_t *row, struct buf *got)
{
    struct arena a;
    struct buf input;
    struct mime_value v;
    testdata_string(json_object_get(row, "input"), &input);
    arena_init(&a, 65536);
    bool ok = content_type_parse(&a, buf_str(&input), PARAMS, &v);
    if (ok)
        buf_printf(got, "%.*s/%.*s", STR_ARG(v.value), STR_ARG(v.subtype));
    bool same = ok == (json_integer_value(json_object_get(row, "ret")) >= 0) &&
                testdata_is(json_object_get(row, "output"), buf_str(got));
    arena_done(&a);
    buf_done(&input);
    return same;
}

static bool dovecot_cte_row(const json_t *row, struct buf *got)
{
    static const struct {
        const char *name;
        enum mime_encoding encoding;
    } names[] = {{"MESSAGE_CTE_BASE64", MIME_BASE64}, {"MESSAGE_CTE_UNKNOWN", MIME_UNKNOWN},
        {"MESSAGE_CTE_QP", MIME_QUOTED_PRINTABLE}, {"MESSAGE_CTE_BINARY", MIME_BINARY},
        {"MESSAGE_CTE_78BIT", MIME_7BIT}};
    struct buf header;
    struct str token;
    const char *want = json_string_value(json_object_get(row, "cte"));
    testdata_string(json_object_get(row, "hdr"), &header);
    if (str_find_str(buf_str(&header), STR("X10 (")) >=
        0) { /* a macro of theirs was not expanded */
        buf_done(&header);
        return true;
    }
    enum mime_encoding encoding = mime_encoding_parse(buf_str(&header), &token);
    buf_printf(got, "%d", encoding);
    buf_done(&header);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].name, want))
            return names[i].encoding == encoding;
    return false;
}

static void test_others(void **state)
{
    (void)state;
    assert_true(testdata_table("mime/mail-parser-fields/content_type.json", mail_parser_row, 80));
    assert_true(testdata_table(
        "mime/dovecot-mail-tables/rfc822-parser.rfc822_parse_content_type.json", dovecot_row, 95));
    assert_true(testdata_table("mime/dovecot-mail-tables/"
                               "message-decoder.message_decoder_invalid_content_transfer_encoding."
                               "json",
        dovecot_cte_row, 90));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
