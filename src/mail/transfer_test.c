#include "mail/transfer.h"

#include <stdio.h>
#include <string.h>

#include "base/unit_test.h"

#include "mail/testdata.h"

/* Decodes in pieces of each size: the result must not differ. */
static bool decodes(enum mime_encoding encoding, struct str in, struct str wanted)
{
    for (size_t piece = 1; piece <= in.n + 1; piece += 1 + piece / 7) {
        struct transfer t;
        struct buf out;
        buf_init(&out, 2 * in.n + TRANSFER_HELD + 4);
        transfer_init(&t, encoding);
        for (struct str rest = in; rest.n > 0; rest = str_from(rest, piece))
            transfer_feed(&t, str_head(rest, piece), &out);
        transfer_finish(&t, &out);
        bool same = str_eq(buf_str(&out), wanted);
        if (!same)
            printf("  pieces of %zu: %.*s\n", piece, STR_ARG(buf_str(&out)));
        buf_done(&out);
        if (!same)
            return false;
    }
    return true;
}

static void test_decode(void **state)
{
    static const struct {
        enum mime_encoding encoding;
        const char *in, *out;
    } rows[] = {
        {MIME_7BIT, "as it is=\r\n", "as it is=\r\n"},
        {MIME_UNKNOWN, "=41", "=41"}, /* hostile.md 101: raw octets are kept */
        {MIME_BASE64, "", ""},
        {MIME_BASE64, "Zm9v", "foo"},
        {MIME_BASE64, "Zm9vYg==", "foob"},
        {MIME_BASE64, "Zm9v\r\nYmE=\r\n", "fooba"},
        {MIME_BASE64, "Zm9vYg==Zm9v", "foobfoo"}, /* pieces put together */
        {MIME_BASE64, "Zm!9v*Y\xffg", "foob"},    /* garbage between, no padding */
        {MIME_BASE64, "Z", ""},
        {MIME_BASE64, "====", ""},
        {MIME_QUOTED_PRINTABLE, "a=3Db", "a=b"},        /* RFC 2045 6.7 (1) */
        {MIME_QUOTED_PRINTABLE, "a \t\r\nb", "a\r\nb"}, /* (3) */
        {MIME_QUOTED_PRINTABLE, "a=\r\nb", "ab"},       /* (5) */
        {MIME_QUOTED_PRINTABLE, "a= \t\r\nb", "ab"},
        {MIME_QUOTED_PRINTABLE, "a=20\r\nb", "a \r\nb"},
        {MIME_QUOTED_PRINTABLE, "=3d=3D", "=="}, /* small letters too */
        {MIME_QUOTED_PRINTABLE, "a=\r\n", "a"},  /* hostile.md 101 */
        {MIME_QUOTED_PRINTABLE, "a=", "a"},
        {MIME_QUOTED_PRINTABLE, "=G1=4", "=G1=4"},
        {MIME_QUOTED_PRINTABLE, "=4=41", "=4A"},
        {MIME_QUOTED_PRINTABLE, "==41", "=A"},
        {MIME_QUOTED_PRINTABLE, "a = b", "a = b"},
        {MIME_QUOTED_PRINTABLE, "a\rb", "a\rb"},
        {MIME_QUOTED_PRINTABLE, "a=\rb", "a=\rb"},
        {MIME_QUOTED_PRINTABLE, "a\nb", "a\r\nb"},
        {MIME_UUENCODE, "text\r\nbegin 644 x\r\n#0V%T\r\n`\r\nend\r\n", "Cat"},
        {MIME_UUENCODE, "begin 644 x\n#0V%T", "Cat"},
        {MIME_UUENCODE, "#0V%T\n", ""},
        {MIME_UUENCODE, "begin 1\nM\n", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!decodes(rows[i].encoding, str_c(rows[i].in), str_c(rows[i].out)))
            fail_msg("row %zu: %s", i, rows[i].in);
    /* white space that does not end is bounded and not lost */
    char spaces[2000];
    memset(spaces, ' ', sizeof spaces);
    spaces[1999] = 'x';
    assert_true(decodes(MIME_QUOTED_PRINTABLE, str_of(spaces, 2000), str_of(spaces, 2000)));
}

/* Their table has macros that were not expanded. */
static bool has_macro(const struct buf *s)
{
    return str_find_str(buf_str(s), STR("WHITESPACE")) >= 0;
}

static bool dovecot_row(const json_t *row, struct buf *got)
{
    struct buf input;
    bool same = true;
    testdata_string(json_object_get(row, "input"), &input);
    if (!has_macro(&input)) {
        transfer_decode(MIME_QUOTED_PRINTABLE, buf_str(&input), got);
        json_t *error = json_object_get(row, "stream_errno");
        /* they fail on what is no quoted-printable; we keep it as text */
        same = json_is_string(error) || testdata_is(json_object_get(row, "output"), buf_str(got));
    }
    buf_done(&input);
    return same;
}

static struct str without_cr(struct str s, struct buf *out)
{
    buf_init(out, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\r')
            buf_put_c(out, s.p[i]);
    return buf_str(out);
}

struct encoded {
    unsigned agree, of;
};

/* photo.b64, photo.uu: the same content as photo.jpg */
static void check_encoded(const char *path, struct str content, void *arg)
{
    struct encoded *count = arg;
    char folder[1024], *dot = strrchr(path, '.');
    const char *suffixes[] = {".jpg", ".txt", ".bin", ".jpeg"};
    enum mime_encoding encoding = strcmp(dot, ".uu") == 0    ? MIME_UUENCODE
                                  : strcmp(dot, ".b64") == 0 ? MIME_BASE64
                                                             : MIME_QUOTED_PRINTABLE;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        struct buf original = {0}, out, a, b;
        snprintf(folder, sizeof folder, "%.*s%s", (int)(dot - path), path, suffixes[i]);
        if (!testdata_read(folder, &original))
            continue;
        buf_init(&out, 16 << 20);
        transfer_decode(encoding, content, &out);
        bool text = i == 1;
        struct str got = text ? without_cr(buf_str(&out), &a) : buf_str(&out);
        struct str want = text ? without_cr(buf_str(&original), &b) : buf_str(&original);
        count->of++;
        count->agree += str_eq(got, want);
        if (!str_eq(got, want))
            printf("  differs: %s (%zu, %zu)\n", path, got.n, want.n);
        if (text) {
            buf_done(&a);
            buf_done(&b);
        }
        buf_done(&out);
        buf_done(&original);
    }
}

static void test_others(void **state)
{
    struct encoded count = {0};
    (void)state;
    assert_true(
        testdata_table("mime/dovecot-mail-tables/qp-decoder.qp_decoder.json", dovecot_row, 95));
    assert_true(
        testdata_table("mime/dovecot-mail-tables/istream-qp-decoder.tests.json", dovecot_row, 95));
    testdata_each("mime/mimekit-messages/encoders", ".b64", check_encoded, &count);
    testdata_each("mime/mimekit-messages/encoders", ".uu", check_encoded, &count);
    testdata_each("mime/mimekit-messages/encoders", ".qp", check_encoded, &count);
    testdata_report("mime/mimekit-messages/encoders", count.agree, count.of);
    assert_int_equal(count.agree, count.of);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
