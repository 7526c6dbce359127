#include "mail/header.h"

#include <stdio.h>
#include <string.h>

#include "base/unit_test.h"

#include "mail/header_scan.h"

/* name=value; junk as "!", then what follows the block. */
static void render(struct str block, struct buf *out)
{
    struct header_iter it = header_iter(block);
    struct header_field f;
    size_t at = 0;
    while (header_next(&it, &f)) {
        assert_int_equal(f.offset, at);
        at += f.length;
        if (f.id == HEADER_JUNK) {
            buf_put(out, STR("!;"));
            continue;
        }
        buf_put(out, f.name);
        buf_put_c(out, '=');
        header_put_unfolded(f.value, out);
        buf_put_c(out, ';');
    }
    buf_put_c(out, '|');
    buf_put(out, str_from(block, it.at));
}

static void test_fields(void **state)
{
    static const struct {
        const char *block, *rendered;
    } rows[] = {
        {"A: b\r\nC:d\r\n\r\nbody", "A=b;C=d;|body"},
        {"A: b\r\n c\r\n\td\r\n\r\n", "A=b c\td;|"},   /* RFC 5322 2.2.3 */
        {"A: b\r\n \r\n c\r\n\r\nx", "A=b  c;|x"},     /* 4.2 obs-FWS */
        {"A : b\r\n\r\n", "A=b;|"},                    /* 4.5, hostile.md 84 */
        {" From: x\r\nFrom: y\r\n\r\n", "!;From=y;|"}, /* hostile.md 85 */
        {"A: b\r\nno colon here\r\n more\r\nC: d\r\n\r\n", "A=b;!;C=d;|"},
        {": x\r\nA\xc3\xa4: x\r\nB: y\r\n\r\n", "!;!;B=y;|"}, /* hostile.md 94 */
        {"A: b", "A=b;|"},
        {"", "|"},
        {"\r\nbody", "|body"},
        {"A: b\nC: d\n\nbody", "A=b;C=d;|body"},
        {"A: b\rc\r\n\r\n", "A=bc;|"},
        {"__proto__: x\r\n\r\n", "__proto__=x;|"},
        {"A:\r\n b\r\n\r\n", "A=b;|"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out;
        buf_init(&out, 4096);
        render(str_c(rows[i].block), &out);
        if (!str_eq(buf_str(&out), str_c(rows[i].rendered)))
            fail_msg("%s: %.*s", rows[i].block, STR_ARG(buf_str(&out)));
        buf_done(&out);
    }
}

static void test_find(void **state)
{
    struct header_iter it =
        header_iter(STR("From: a\r\nfrom : b\r\nX: c\r\nFROM: d\r\n\r\nFrom: e\r\n"));
    struct header_field f;
    const char *values[] = {" a", " b", " d"};
    (void)state;
    for (size_t i = 0; i < 3; i++) { /* hostile.md 83, 84: all are found */
        assert_true(header_find(&it, STR("From"), &f));
        assert_true(f.id == HEADER_FROM && str_eq(f.value, str_c(values[i])));
    }
    assert_false(header_find(&it, STR("From"), &f));
}

static void test_long_name(void **state)
{
    char line[12000];
    struct str name;
    size_t at;
    (void)state;
    memset(line, 'x', sizeof line); /* hostile.md 94 */
    line[998] = ':';
    assert_true(header_line(str_of(line, sizeof line), &name, &at) && name.n == 998);
    line[998] = 'x';
    line[999] = ':';
    assert_false(header_line(str_of(line, sizeof line), &name, &at));
}

/* ---- header_scan: what the iterator says, wherever chunks end */

static void scan(struct str content, size_t piece, struct header_scan *s)
{
    header_scan_init(s);
    for (; content.n > 0; content = str_from(content, piece))
        header_scan_feed(s, str_head(content, piece));
    header_scan_finish(s);
}

static const char *const blocks[] = {
    "A: b\r\nC:d\r\n\r\nbody",
    "Return-Path: <a@b>\r\nReceived: x\r\n y\r\nDelivered-To: z\r\n w\r\n\r\nReturn-Path: body\r\n",
    "From: a\r\nfrom : b\r\nDate: c\r\nMessage-ID: <d>\r\nReceived: 1\r\nReceived: 2\r\n\r\n",
    " From: x\r\nFrom: y\r\n\r\n",
    "A: b\r\nno colon here\r\n more\r\nC: d\r\n\r\n",
    "no header at all\r\nA: b\r\n\r\n",
    "From user@x Thu Nov 29\r\nA: b\r\n\r\n",
    ">From user\r\nA: b\r\n\r\n",
    "\r\nbody",
    "\n",
    "A: b",
    "Delivered-To: unfinished",
    "",
    ": x\r\n",
    "A: b\r\n\rC: d\r\nDelivered-To: x\r\n\r\n",
    "Return-Path\t: x\r\nDelivered-To:\r\n\r\n",
    "A: b\n\nbody",
};

static void test_scan_agrees(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        struct str content = str_c(blocks[i]), name;
        struct header_iter it = header_iter(content);
        struct header_field f;
        struct header_scan s, bytes;
        uint32_t fields = 0, junk = 0, spans = 0;
        size_t at;
        bool headless = content.n > 0 && !header_line(content, &name, &at) &&
                        !strchr(" \t\r\n", content.p[0]) && !str_starts(content, STR("From ")) &&
                        !str_starts(content, STR(">From "));
        scan(content, content.n + 1, &s);
        while (!headless && header_next(&it, &f)) {
            fields += f.id != HEADER_JUNK;
            junk += f.id == HEADER_JUNK;
            if (f.id != HEADER_RETURN_PATH && f.id != HEADER_DELIVERED_TO)
                continue;
            if (s.span[spans].offset != f.offset || s.span[spans].length != f.length)
                fail_msg("%s: span", blocks[i]);
            spans++;
        }
        if (s.fields != fields || s.junk != junk || s.spans != spans || s.octets != it.at)
            fail_msg("%s: %u %u %u %u", blocks[i], s.fields, s.junk, s.spans, (unsigned)s.octets);
        for (size_t piece = 1; piece < 5; piece++) {
            scan(content, piece, &bytes);
            if (memcmp(bytes.span, s.span, sizeof s.span) != 0 || bytes.octets != s.octets ||
                bytes.fields != s.fields || bytes.junk != s.junk ||
                memcmp(bytes.count, s.count, sizeof s.count) != 0)
                fail_msg("%s: pieces of %zu", blocks[i], piece);
        }
    }
}

static void test_scan_counts(void **state)
{
    struct header_scan s;
    struct buf many;
    (void)state;
    scan(str_c(blocks[2]), 7, &s);
    assert_int_equal(s.count[HEADER_FROM], 2); /* hostile.md 83, 84 */
    assert_int_equal(s.count[HEADER_RECEIVED], 2);
    assert_true(s.count[HEADER_DATE] == 1 && s.count[HEADER_MESSAGE_ID] == 1);
    buf_init(&many, 1 << 20);
    for (int i = 0; i < 17; i++) /* hostile.md 107 */
        buf_put(&many, STR("Delivered-To: x\r\n"));
    scan(buf_str(&many), 1000, &s);
    assert_true(s.spans == HEADER_SPANS_MAX && s.more_spans && s.fields == 17);
    buf_clear(&many);
    for (int i = 0; i < 40000; i++) /* hostile.md 93: the session sees it grow */
        buf_put(&many, i ? STR(" xxxxxxxxxxxxxxxxxxxxxx\r\n") : STR("A: b\r\n"));
    scan(buf_str(&many), 4096, &s);
    assert_true(s.octets == buf_len(&many) && s.fields == 1);
    buf_done(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_scan_agrees),
        cmocka_unit_test(test_scan_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
