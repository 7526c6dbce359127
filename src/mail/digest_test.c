#include "mail/digest.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/unit_test.h"

#include "mail/testdata.h"

static int build(struct str content, size_t piece, struct buf *out)
{
    struct digest_builder b;
    struct mime_limits limits = MIME_LIMITS_DEFAULT;
    buf_init(out, DIGEST_MAX);
    digest_begin(&b, &limits);
    for (; content.n > 0; content = str_from(content, piece))
        digest_feed(&b, str_head(content, piece));
    int rc = digest_finish(&b, out, NULL);
    digest_done(&b);
    return rc;
}

static const char letter[] = "Message-ID: <3@x>\r\n"
                             "In-Reply-To: <2@x>\r\n"
                             "References: <1@x> <2@x>\r\n"
                             "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n"
                             "Subject: Re: [list]\r\n =?utf-8?q?caf=C3=A9?=\r\n"
                             "From: =?utf-8?q?J=C3=B6rg?= <joerg@x.example>\r\n"
                             "To: A Group: a@b, \"c d\" <e@f>;, g@h\r\n"
                             "To: second@to\r\n"
                             "Cc: (hidden) i@j\r\n"
                             "MIME-Version: 1.0\r\n"
                             "Content-Type: multipart/mixed; boundary=\"b\"\r\n"
                             "\r\n"
                             "preamble\r\n"
                             "--b\r\n"
                             "Content-Type: text/plain; charset=iso-8859-1\r\n"
                             "Content-Transfer-Encoding: quoted-printable\r\n"
                             "\r\n"
                             "> quoted\r\n"
                             "Caf=E9 au\r\nlait\r\n"
                             "--b\r\n"
                             "Content-Type: application/pdf; name=x.pdf\r\n"
                             "Content-Disposition: attachment; filename*=utf-8''%C3%A4.pdf\r\n"
                             "Content-ID: <id>\r\n"
                             "Content-Description: a\r\n description\r\n"
                             "Content-Language: de\r\n"
                             "Content-MD5: xyz\r\n"
                             "Content-Location: loc\r\n"
                             "\r\n"
                             "%PDF\r\n"
                             "--b\r\n"
                             "Content-Type: message/rfc822\r\n"
                             "\r\n"
                             "From: inner@x\r\n"
                             "Reply-To: other@x\r\n"
                             "\r\n"
                             "text\r\n"
                             "--b--\r\n";

static void put_addresses(struct str list, struct buf *out)
{
    struct digest_address a;
    while (digest_next_address(&list, &a))
        buf_printf(out, "%d:%.*s|%.*s@%.*s ", a.kind, STR_ARG(a.name), STR_ARG(a.local),
            STR_ARG(a.domain));
}

static void expect_list(struct str list, const char *wanted)
{
    struct buf out;
    buf_init(&out, 4096);
    put_addresses(list, &out);
    if (!str_eq(buf_str(&out), str_c(wanted)))
        fail_msg("%.*s\nwanted %s", STR_ARG(buf_str(&out)), wanted);
    buf_done(&out);
}

static void expect_str(struct str got, const char *wanted)
{
    if (!str_eq(got, str_c(wanted)))
        fail_msg("%.*s\nwanted %s", STR_ARG(got), wanted);
}

static void test_envelope(void **state)
{
    struct buf octets;
    struct digest d;
    struct digest_part part;
    struct digest_envelope env;
    (void)state;
    assert_int_equal(build(str_c(letter), SIZE_MAX, &octets), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    struct digest_parts it = digest_parts(&d);
    assert_true(digest_next_part(&it, &part));
    digest_envelope(part.envelope, &env);
    expect_str(env.date, "Fri, 21 Nov 1997 09:55:06 -0600");
    expect_str(env.subject, "Re: [list] =?utf-8?q?caf=C3=A9?=");
    expect_list(env.from, "0:=?utf-8?q?J=C3=B6rg?=|joerg@x.example ");
    expect_list(env.sender, "0:=?utf-8?q?J=C3=B6rg?=|joerg@x.example ");
    expect_list(env.to, "1:A Group|@ 0:|a@b 0:c d|e@f 2:|@ 0:|g@h 0:|second@to ");
    expect_list(env.cc, "0:hidden|i@j ");
    expect_str(env.in_reply_to, "<2@x>");
    expect_str(env.message_id, "<3@x>");
    assert_int_equal(env.bcc.n, 0);
    while (digest_next_part(&it, &part))
        if (part.message) {
            digest_envelope(part.envelope, &env);
            expect_list(env.from, "0:|inner@x ");
            expect_list(env.reply_to, "0:|other@x ");
        }
    buf_done(&octets);
}

static void test_parts(void **state)
{
    struct buf octets;
    struct digest d;
    struct digest_part part;
    struct mime_param param;
    (void)state;
    assert_int_equal(build(str_c(letter), SIZE_MAX, &octets), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    assert_int_equal(d.part_count, 5);
    assert_int_equal(d.size, sizeof letter - 1);
    struct digest_parts it = digest_parts(&d);
    digest_next_part(&it, &part);
    assert_true(part.kind == MIME_MULTIPART && part.message && part.parent == 0);
    digest_next_part(&it, &part);
    expect_str(part.type, "text");
    expect_str(part.encoding_text, "quoted-printable");
    assert_int_equal(part.encoding, MIME_QUOTED_PRINTABLE);
    assert_true(digest_next_param(&part.params, &param));
    expect_str(param.name, "charset");
    expect_str(param.value, "iso-8859-1");
    assert_false(digest_next_param(&part.params, &param));
    assert_int_equal(part.body_lines, 2);
    digest_next_part(&it, &part);
    expect_str(part.file_name, "\xc3\xa4.pdf");
    expect_str(part.id, "<id>");
    expect_str(part.description, "a description");
    expect_str(part.language, "de");
    expect_str(part.md5, "xyz");
    expect_str(part.location, "loc");
    expect_str(part.disposition, "attachment");
    assert_true(part.attachment);
    expect_str(str_sub(str_c(letter), part.body_start, part.body_end - part.body_start), "%PDF");
    digest_next_part(&it, &part);
    assert_int_equal(part.kind, MIME_MESSAGE);
    digest_next_part(&it, &part);
    assert_true(part.message && part.parent == 3);
    assert_false(digest_next_part(&it, &part));
    buf_done(&octets);
}

static void test_keys(void **state)
{
    struct buf octets;
    struct digest d;
    struct digest_sort sort;
    struct digest_thread thread;
    struct str id;
    (void)state;
    assert_int_equal(build(str_c(letter), SIZE_MAX, &octets), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    digest_sort(&d, &sort);
    assert_true(
        sort.has_date && sort.reply && sort.date_ms == 880127706000 && sort.zone_min == -360);
    expect_str(sort.subject, "caf\xc3\xa9");
    expect_str(sort.from, "joerg");
    expect_str(sort.to, "a"); /* the first mailbox, not the group */
    expect_str(sort.display_from, "J\xc3\xb6rg");
    expect_str(sort.display_to, "a@b");
    digest_thread(&d, &thread);
    expect_str(thread.message_id, "3@x");
    assert_true(digest_next_reference(&thread.references, &id));
    expect_str(id, "1@x");
    assert_true(digest_next_reference(&thread.references, &id));
    expect_str(id, "2@x");
    assert_false(digest_next_reference(&thread.references, &id));
    expect_str(d.preview, "Caf\xc3\xa9 au lait");
    buf_done(&octets);
}

static void test_references(void **state)
{
    struct buf content, octets;
    struct digest d;
    struct digest_thread thread;
    struct str id;
    unsigned n = 0;
    (void)state;
    buf_init(&content, 1 << 20);
    buf_put(&content, STR("References:"));
    for (int i = 0; i < 300; i++)
        buf_printf(&content, "\r\n <%d@x>", i);
    buf_put(&content, STR("\r\n\r\n"));
    assert_int_equal(build(buf_str(&content), SIZE_MAX, &octets), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    digest_thread(&d, &thread);
    while (digest_next_reference(&thread.references, &id))
        n++;
    assert_int_equal(n, DIGEST_REFERENCES_MAX);
    expect_str(id, "299@x"); /* the last ones */
    buf_done(&octets);
    assert_int_equal(build(STR("In-Reply-To: <a@b> <c@d>\r\n\r\n"), SIZE_MAX, &octets), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    digest_thread(&d, &thread);
    assert_true(digest_next_reference(&thread.references, &id)); /* RFC 5256 3 */
    expect_str(id, "a@b");
    assert_false(digest_next_reference(&thread.references, &id));
    buf_done(&octets);
    buf_done(&content);
}

static void test_chunks(void **state)
{
    struct buf whole, pieces;
    (void)state;
    assert_int_equal(build(str_c(letter), SIZE_MAX, &whole), 0);
    for (size_t piece = 1; piece < sizeof letter; piece += 1 + piece / 4) {
        assert_int_equal(build(str_c(letter), piece, &pieces), 0);
        if (!str_eq(buf_str(&whole), buf_str(&pieces)))
            fail_msg("pieces of %zu", piece);
        buf_done(&pieces);
    }
    buf_done(&whole);
}

static void test_preview_window(void **state)
{
    struct buf content, whole, pieces;
    struct digest d;
    (void)state;
    buf_init(&content, 4 << 20);
    buf_put(&content, STR("Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
                          "quoted-printable\r\n\r\n<style>"));
    for (int i = 0; i < 3000; i++)
        buf_put(&content, STR("p { x: =C3=A4 }=\r\n\n"));
    buf_put(&content, STR("</style><p>Behind the style</p>"));
    assert_int_equal(build(buf_str(&content), SIZE_MAX, &whole), 0);
    assert_int_equal(digest_open(buf_str(&whole), &d, NULL), 0);
    expect_str(d.preview, "Behind the style");
    for (size_t piece = 1; piece < 100000; piece = piece * 5 + 2) {
        assert_int_equal(build(buf_str(&content), piece, &pieces), 0);
        assert_true(str_eq(buf_str(&whole), buf_str(&pieces)));
        buf_done(&pieces);
    }
    buf_done(&whole);
    buf_done(&content);
}

/* hostile.md 92: a hundred thousand fields, half a million addresses */
static void test_many_addresses(void **state)
{
    struct buf content, octets;
    struct digest d;
    (void)state;
    buf_init(&content, 32 << 20);
    for (int i = 0; i < 100000; i++)
        buf_put(&content, STR("To: a@b\r\n"));
    buf_put(&content, STR("\r\n"));
    assert_int_equal(build(buf_str(&content), 65536, &octets), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    assert_true(buf_len(&octets) < 1024);
    buf_done(&octets);
    buf_clear(&content);
    buf_put(&content, STR("To: "));
    for (int i = 0; i < 500000; i++)
        buf_put(&content, STR("a@b,\r\n "));
    assert_int_equal(build(buf_str(&content), 65536, &octets), 0);
    assert_int_equal(digest_open(buf_str(&octets), &d, NULL), 0);
    assert_true(buf_len(&octets) < 64 << 10);
    buf_done(&octets);
    buf_done(&content);
}

/* Whatever is changed in a digest: it is refused, or everything in it can be read. */
static void test_damage(void **state)
{
    struct buf octets;
    struct digest d;
    struct err e;
    (void)state;
    assert_int_equal(build(str_c(letter), SIZE_MAX, &octets), 0);
    size_t n = buf_len(&octets);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(digest_open(str_head(buf_str(&octets), cut), &d, &e), -1);
    for (size_t i = 0; i < n; i++) {
        char was = octets.p[i];
        octets.p[i] = (char)(was ^ 0x41);
        digest_open(buf_str(&octets), &d, NULL);
        octets.p[i] = was;
    }
    octets.p[0] = 2;
    assert_int_equal(digest_open(buf_str(&octets), &d, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    buf_done(&octets);
}

/* Whichever allocation fails: it says so, and leaks nothing. */
static void test_no_memory(void **state)
{
    struct buf octets, whole;
    uint64_t count;
    (void)state;
    mem_fail_at(0);
    assert_int_equal(build(str_c(letter), SIZE_MAX, &whole), 0);
    count = mem_fail_at(0);
    assert_true(count > 20);
    for (uint64_t n = 1; n <= count; n++) {
        mem_fail_at(n);
        int rc = build(str_c(letter), SIZE_MAX, &octets);
        mem_fail_at(0);
        if (rc == 0)
            fail_msg("allocation %u of %u failed unseen", (unsigned)n, (unsigned)count);
        buf_done(&octets);
    }
    buf_done(&whole);
}

struct sets {
    unsigned files;
};

static void check_file(const char *path, struct str file, void *arg)
{
    struct sets *sets = arg;
    struct buf content, whole, pieces;
    struct digest d;
    assert_true(testdata_crlf(file, &content));
    assert_int_equal(build(buf_str(&content), SIZE_MAX, &whole), 0);
    assert_int_equal(digest_open(buf_str(&whole), &d, NULL), 0);
    for (size_t piece = 1; piece < 5000; piece = piece * 7 + 6) {
        assert_int_equal(build(buf_str(&content), piece, &pieces), 0);
        if (!str_eq(buf_str(&whole), buf_str(&pieces)))
            fail_msg("%s: pieces of %zu", path, piece);
        buf_done(&pieces);
    }
    sets->files++;
    buf_done(&whole);
    buf_done(&content);
}

static void test_everything(void **state)
{
    static const char *const suffixes[] = {".eml", ".msg", ".txt", ".bin"};
    struct sets sets = {0};
    (void)state;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        testdata_each("mime", suffixes[i], check_file, &sets);
    printf("conformance mime: %u files have one digest, however they are cut\n", sets.files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_preview_window),
        cmocka_unit_test(test_many_addresses),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
