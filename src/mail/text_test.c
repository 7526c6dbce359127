#include "mail/text.h"

#include <stdio.h>
#include <string.h>

#include "base/unit_test.h"
#include "base/utf8.h"

#include "mail/charset.h"
#include "mail/mime.h"
#include "mail/testdata.h"

static void test_charsets(void **state)
{
    static const struct {
        const char *charset, *in, *out;
    } rows[] = {
        {"utf-8", "\xc3\xa4", "\xc3\xa4"},
        {"UTF8",
            "a\xff\xfe"
            "b\xc3",
            "a\xef\xbf\xbd"
            "b\xef\xbf\xbd"}, /* one for a run */
        {"us-ascii", "plain", "plain"},
        {"us-ascii", "\xe2\x98\xba", "\xe2\x98\xba"},
        {"us-ascii", "\xe4", "\xc3\xa4"},
        {"", "\x80", "\xe2\x82\xac"}, /* windows-1252 */
        {"iso-8859-1", "\xe4\x80", "\xc3\xa4\xe2\x82\xac"},
        {"ISO-8859-15", "\xa4", "\xe2\x82\xac"},
        {"koi8-r", "\xc1", "\xd0\xb0"},
        {"x-nobody-knows", "\xc3\xa4", "\xc3\xa4"},
        {"x-nobody-knows", "\xe4", "\xc3\xa4"},
        {"../../etc/passwd", "a", "a"},
        {"gb2312", "\xd6\xd0", "\xe4\xb8\xad"},
        {"gbk", "\x81\x40", "\xe4\xb8\x82"},
        {"shift_jis", "\x93\xfa", "\xe6\x97\xa5"},
        {"euc-kr", "\xb0\xa1", "\xea\xb0\x80"},
        {"utf-7", "+AOQ-", "\xc3\xa4"},
        {"utf-16be", "\xd8\x3d\xdc\x0e", "\xf0\x9f\x90\x8e"},
        {"utf-16be", "\xd8\x3d", "\xef\xbf\xbd"},
        {"iso-2022-jp", "\x1b$BF|\x1b(B", "\xe6\x97\xa5"},
        {"big5", "\xa4\xa4", "\xe4\xb8\xad"},
    };
    (void)state;
    assert_true(charset_prepare());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 64);
        assert_int_equal(charset_to_utf8(str_c(rows[i].charset), str_c(rows[i].in), 64, &out), 0);
        if (!str_eq(buf_str(&out), str_c(rows[i].out)))
            fail_msg("row %zu (%s): %.*s", i, rows[i].charset, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
    assert_true(charset_known(STR("windows-1251")) && !charset_known(STR("x-nobody")));
}

/* Bounded, never cut within a character, wherever ICU's own buffers end. */
static void test_bounds(void **state)
{
    static const char *const charsets[] = {"utf-8", "", "utf-16le", "koi8-r", "gb18030"};
    char in[5000];
    (void)state;
    for (size_t i = 0; i + 1 < sizeof in; i += 4)
        memcpy(in + i, "\x3d\xd8\x0e\xdc", 4);
    for (size_t c = 0; c < sizeof charsets / sizeof *charsets; c++)
        for (size_t max = 0; max < 6000; max += 1 + max / 9) {
            struct buf out;
            buf_init(&out, 16384);
            charset_to_utf8(str_c(charsets[c]), str_of(in, sizeof in), max, &out);
            assert_true(buf_len(&out) <= max && utf8_valid(buf_str(&out)));
            if (c == 2 && max > 5000)
                assert_int_equal(buf_len(&out), sizeof in);
            buf_done(&out);
        }
}

static void test_extract(void **state)
{
    static const struct {
        struct text_form form;
        const char *body, *text;
    } rows[] = {
        {{MIME_QUOTED_PRINTABLE, STR_INIT("iso-8859-1"), false}, "Caf=E9\r\nx", "Caf\xc3\xa9\nx"},
        {{MIME_BASE64, STR_INIT("utf-8"), false}, "w6TDpA==", "\xc3\xa4\xc3\xa4"},
        {{MIME_7BIT, STR_INIT(""), true}, "<p>a</p>b &amp; c", "\na\nb & c"},
        {{MIME_7BIT, STR_INIT(""), false}, "a\x1b[31m\x07\tb\x7f", "a[31m\tb"}, /* G7 */
        {{MIME_8BIT, STR_INIT("utf-8"), false},
            "a\xc2\x9b"
            "b",
            "ab"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 4096);
        assert_int_equal(text_extract(&rows[i].form, str_c(rows[i].body), 4096, &out), 0);
        if (!str_eq(buf_str(&out), str_c(rows[i].text)))
            fail_msg("%s: %.*s", rows[i].body, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
}

/* ---- files in two charsets; the Big5 one there has lost characters, so it is none */

static void test_gmime(void **state)
{
    static const struct {
        const char *file, *charset, *utf8;
    } pairs[] = {
        {"cyrillic.cp1251.txt", "windows-1251", "cyrillic.utf-8.txt"},
        {"cyrillic.iso-8859-5.txt", "iso-8859-5", "cyrillic.utf-8.txt"},
        {"cyrillic.koi8-r.txt", "koi8-r", "cyrillic.utf-8.txt"},
        {"japanese.iso-2022-jp.txt", "iso-2022-jp", "japanese.utf-8.txt"},
        {"japanese.shift-jis.txt", "shift_jis", "japanese.utf-8.txt"},
    };
    unsigned agree = 0, of = 0;
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char path[1024], name[256];
        struct buf in = {0}, want = {0}, out;
        snprintf(name, sizeof name, "mime/gmime-data/filters/%s", pairs[i].file);
        if (!testdata_path(name, path, sizeof path) || !testdata_read(path, &in))
            continue;
        snprintf(name, sizeof name, "mime/gmime-data/filters/%s", pairs[i].utf8);
        testdata_path(name, path, sizeof path);
        testdata_read(path, &want);
        buf_init(&out, 1 << 20);
        charset_to_utf8(str_c(pairs[i].charset), buf_str(&in), 1 << 20, &out);
        of++;
        agree += str_eq(buf_str(&out), buf_str(&want));
        if (!str_eq(buf_str(&out), buf_str(&want)))
            printf("  differs: %s\n", pairs[i].file);
        buf_done(&in);
        buf_done(&want);
        buf_done(&out);
    }
    testdata_report("mime/gmime-data/filters", agree, of);
    assert_true(agree * 100 >= of * 80);
}

/* ---- mail-parser: the decoded text of each part of each message */

struct texts {
    unsigned agree, of;
};

static void put_bare(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] > 32 && s.p[i] != 127)
            buf_put_c(out, s.p[i]);
}

/* White space and control characters do not count: theirs keeps them all. */
static bool same_text(struct str got, const json_t *value)
{
    struct buf want, a, b;
    testdata_string(value, &want);
    buf_init(&a, 16 << 20);
    buf_init(&b, 16 << 20);
    put_bare(got, &a);
    put_bare(buf_str(&want), &b);
    bool same = str_eq(buf_str(&a), buf_str(&b));
    buf_done(&want);
    buf_done(&a);
    buf_done(&b);
    return same;
}

/* Their part whose body begins at the same octet. */
static const json_t *theirs_at(const json_t *message, uint64_t body_start)
{
    json_t *part;
    size_t i;
    json_array_foreach(json_object_get(message, "parts"), i, part)
    {
        json_t *body = json_object_get(part, "body"), *inner = json_object_get(body, "Message");
        const json_t *found = inner ? theirs_at(inner, body_start) : NULL;
        if (found)
            return found;
        const char *kinds[] = {"Text", "Html"};
        for (size_t k = 0; k < 2; k++)
            if ((uint64_t)json_integer_value(json_object_get(part, "offset_body")) == body_start &&
                json_object_get(body, kinds[k]))
                return json_object_get(body, kinds[k]);
    }
    return NULL;
}

static void check_texts(const char *path, struct str file, void *arg)
{
    struct texts *count = arg;
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    struct mime_parser p;
    struct buf content;
    char name[1024];
    snprintf(name, sizeof name, "%.*s.crlf.json", (int)(strlen(path) - 4), path);
    json_t *json = json_load_file(name, JSON_ALLOW_NUL, NULL);
    if (!json)
        return;
    testdata_crlf(file, &content);
    mime_init(&p, &limits, NULL);
    mime_feed(&p, buf_str(&content));
    for (struct mime_part *part = mime_finish(&p); part; part = mime_next(part)) {
        struct text_form form = {.encoding = (enum mime_encoding)part->encoding};
        struct buf out;
        const json_t *want = theirs_at(json, part->body_start);
        if (!want || part->kind != MIME_LEAF)
            continue;
        if (part->fields)
            mime_param_find(&part->fields->type, STR("charset"), &form.charset);
        buf_init(&out, 16 << 20);
        text_extract(&form,
            str_sub(buf_str(&content), part->body_start, part->body_end - part->body_start),
            16 << 20, &out);
        bool agree = same_text(buf_str(&out), want);
        count->of++;
        count->agree += agree;
        if (!agree)
            printf("  differs: %s part %u (%.*s)\n", path, part->index, STR_ARG(form.charset));
        buf_done(&out);
    }
    mime_done(&p);
    json_decref(json);
    buf_done(&content);
}

static void test_mail_parser(void **state)
{
    struct texts count = {0};
    (void)state;
    testdata_each("mime/mail-parser-eml", ".eml", check_texts, &count);
    testdata_report("mime/mail-parser-eml (texts)", count.agree, count.of);
    assert_true(count.agree * 100 >= count.of * 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_charsets),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_extract),
        cmocka_unit_test(test_gmime),
        cmocka_unit_test(test_mail_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
