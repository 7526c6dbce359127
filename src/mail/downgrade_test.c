#include "mail/downgrade.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/unit_test.h"

#include "mail/downgrade_check.h"
#include "mail/testdata.h"

#define U   "\xc3\xbc"
#define CTE "Content-Transfer-Encoding: "
#define QP  CTE "quoted-printable\r\n"

enum {
    ROOM = 2 << 20
};

struct row {
    const char *name;
    bool body, header;
    const char *in, *out; /* NULL: refused with this detail of 5.6 */
    unsigned detail;
};

static bool run(const struct row *row)
{
    struct downgrade_want want = {.body = row->body, .header = row->header, .lines = true};
    struct buf out;
    struct err e = {0};
    uint64_t long_lines;
    buf_init(&out, ROOM);
    int result = downgrade_all(want, str_c(row->in), 7, &out, &long_lines, &e);
    bool ok = row->out ? result == 0 && str_eq(buf_str(&out), str_c(row->out))
                       : result < 0 && e.class == ERR_PERMANENT && e.status.subject == 6 &&
                             e.status.detail == row->detail;
    if (result == 0)
        downgrade_check(want, str_c(row->in), buf_str(&out), long_lines);
    if (!ok)
        printf("  %s: %d %u.%u.%u\n%.*s\n", row->name, result, e.status.class, e.status.subject,
            e.status.detail, STR_ARG(buf_str(&out)));
    buf_done(&out);
    return ok;
}

static void run_all(const struct row *rows, size_t n)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++)
        bad += !run(&rows[i]);
    assert_int_equal(bad, 0);
}

/* RFC 6152 3, RFC 2045 6, hostile.md 79 */
static void test_bodies(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"nothing", 1, 1, "A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n", 0},
        {"label", 1, 0, "MIME-Version: 1.0\r\n" CTE "8bit\r\n\r\nein T" U "r und ein Tor\r\n",
            "MIME-Version: 1.0\r\n" QP "\r\nein T=C3=BCr und ein Tor\r\n", 0},
        {"no label", 1, 0, "MIME-Version: 1.0\r\n\r\nein T" U "r und ein Tor\r\n",
            "MIME-Version: 1.0\r\n" QP "\r\nein T=C3=BCr und ein Tor\r\n", 0},
        {"no MIME", 1, 0, "A: b\r\n\r\nein T" U "r und ein Tor\r\n",
            "A: b\r\nMIME-Version: 1.0\r\n" QP "\r\nein T=C3=BCr und ein Tor\r\n", 0},
        {"no header", 1, 0, "ein T" U "r und ein Tor",
            "MIME-Version: 1.0\r\n" QP "\r\nein T=C3=BCr und ein Tor", 0},
        {"much", 1, 0, "MIME-Version: 1.0\r\n" CTE "8bit\r\n\r\n" U U U U "\r\n",
            "MIME-Version: 1.0\r\n" CTE "base64\r\n\r\nw7zDvMO8w7wNCg==\r\n", 0},
        {"two labels", 1, 0,
            "MIME-Version: 1.0\r\n" CTE "8bit\r\nA: b\r\n" CTE "7bit\r\n\r\nein T" U
            "r und ein Tor\r\n",
            "MIME-Version: 1.0\r\n" QP "A: b\r\n\r\nein T=C3=BCr und ein Tor\r\n", 0},
        {"broken quoted-printable", 1, 0, QP "\r\nein=20T" U "r\r\n", QP "\r\nein T=C3=BCr\r\n", 0},
        {"broken Base 64", 1, 0, CTE "base64\r\n\r\nZm9" U "v\r\n", CTE "base64\r\n\r\nZm9v\r\n",
            0},
        {"unknown encoding", 1, 0, CTE "x-y\r\n\r\n" U "\r\n", NULL, 3},
        {"DKIM", 1, 0, "DKIM-Signature: v=1\r\n\r\n" U "\r\n", NULL, 3},
        {"DKIM, ASCII", 1, 0, "DKIM-Signature: v=1\r\n" CTE "8bit\r\n\r\nx\r\n",
            "DKIM-Signature: v=1\r\n" CTE "8bit\r\n\r\nx\r\n", 0},
        {"partial", 1, 0, "Content-Type: message/partial\r\n\r\n" U "\r\n", NULL, 3},
        {"opaque", 1, 0, "Content-Type: multipart/mixed\r\n\r\n" U "\r\n", NULL, 3},
    };
    run_all(rows, ARRAY_COUNT(rows));
}

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n"

static void test_structure(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"leaf", 1, 0,
            MIXED CTE "8bit\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n" CTE "8bit\r\n\r\nein T" U
                      "r und so fort\r\n--b--\r\n",
            MIXED CTE "7bit\r\n\r\n--b\r\n\r\nplain\r\n--b\r\n" QP
                      "\r\nein T=C3=BCr und so fort\r\n--b--\r\n",
            0},
        {"part without header", 1, 0, MIXED "\r\n--b\r\nein T" U "r und so fort\r\n--b--\r\n",
            MIXED "\r\n--b\r\n" QP "\r\nein T=C3=BCr und so fort\r\n--b--\r\n", 0},
        {"between parts", 1, 0, MIXED "\r\nv" U "r\r\n--b\r\n\r\nx\r\n--b--\r\nnach" U "\r\n",
            MIXED "\r\nv??r\r\n--b\r\n\r\nx\r\n--b--\r\nnach??\r\n", 0},
        {"between signed parts", 1, 0,
            "DKIM-Signature: x\r\n" MIXED "\r\nv" U "r\r\n--b\r\n\r\nx\r\n--b--\r\n", NULL, 3},
        {"signed", 1, 0,
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n" CTE "8bit\r\n\r\n" U
            "\r\n--b--\r\n",
            NULL, 3},
        {"encrypted", 1, 0,
            "Content-Type: multipart/encrypted; boundary=b\r\n\r\n--b\r\n\r\n" U "\r\n--b--\r\n",
            NULL, 3},
        {"signed, ASCII", 1, 0,
            MIXED CTE "8bit\r\n\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n"
                      "--c\r\n\r\nx\r\n--c--\r\n--b\r\n\r\nein T" U "r und so fort\r\n--b--\r\n",
            MIXED CTE "7bit\r\n\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n"
                      "--c\r\n\r\nx\r\n--c--\r\n--b\r\n" QP
                      "\r\nein T=C3=BCr und so fort\r\n--b--\r\n",
            0},
        {"embedded", 1, 0,
            "Content-Type: message/rfc822\r\n" CTE "8bit\r\n\r\nSubject: " U "\r\n\r\nein T" U
            "r und so fort\r\n",
            "Content-Type: message/rfc822\r\n" CTE "7bit\r\n\r\nSubject: =?utf-8?b?w7w=?=\r\n"
            "MIME-Version: 1.0\r\n" QP "\r\nein T=C3=BCr und so fort\r\n",
            0},
        {"embedded and signed", 1, 0,
            "Content-Type: message/rfc822\r\n\r\nDKIM-Signature: x\r\n\r\n" U "\r\n", NULL, 3},
        {"quoted by a report", 1, 0,
            "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: "
            "message/rfc822\r\n\r\nDKIM-Signature: x\r\n\r\nein T" U "r und so fort\r\n--b--\r\n",
            "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: "
            "message/rfc822\r\n\r\nDKIM-Signature: x\r\nMIME-Version: 1.0\r\n" QP
            "\r\nein T=C3=BCr und so fort\r\n--b--\r\n",
            0},
        {"signed, in a report", 1, 0,
            "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: "
            "message/rfc822\r\n\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n"
            "ein T" U "r und so fort\r\n--c--\r\n--b--\r\n",
            "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: "
            "message/rfc822\r\n\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n" QP
            "\r\nein T=C3=BCr und so fort\r\n--c--\r\n--b--\r\n",
            0},
        {"global", 1, 0, /* RFC 6532 3.7 */
            "Content-Type: message/global\r\n" CTE "8bit\r\n\r\nFrom: " U "@" U "\r\n\r\n" U "\r\n",
            "Content-Type: message/global\r\n" CTE "base64\r\n\r\nRnJvbTogw7xAw7wNCg0Kw7wNCg==\r\n",
            0},
        {"8-bit boundary", 1, 0,
            "Content-Type: multipart/mixed; boundary=\"" U "\"\r\n\r\n--" U "\r\n\r\nx\r\n", NULL,
            3},
    };
    run_all(rows, ARRAY_COUNT(rows));
}

/* RFC 2047 5, RFC 2231, RFC 6531 3.2 */
static void test_headers(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"text", 0, 1, "Subject: a T" U "r b\r\n\r\n" U "\r\n",
            "Subject: a =?utf-8?b?VMO8cg==?= b\r\n\r\n" U "\r\n", 0},
        {"words together", 0, 1, "Subject: T" U "r T" U "r\r\n\r\n",
            "Subject: =?utf-8?b?VMO8ciBUw7xy?=\r\n\r\n", 0},
        {"beside an encoded word", 0, 1, "Subject: =?utf-8?q?a?= " U " =?utf-8?q?b?=\r\n\r\n",
            "Subject: =?utf-8?q?a?= =?utf-8?b?IMO8IA==?= =?utf-8?q?b?=\r\n\r\n", 0},
        {"within an encoded word", 0, 1, "Subject: =?iso-8859-1?Q?T\xfcr?= " U "\r\n\r\n",
            "Subject: =?iso-8859-1?Q?T=FCr?= =?utf-8?b?IMO8?=\r\n\r\n", 0},
        {"no UTF-8", 0, 1, "Subject: T\xfcr\r\n\r\n", "Subject: =?unknown-8bit?b?VPxy?=\r\n\r\n",
            0}, /* RFC 1428 */
        {"name", 0, 1, "From: J" U "rgen <a@b>\r\n\r\n",
            "From: =?utf-8?b?SsO8cmdlbg==?= <a@b>\r\n\r\n", 0},
        {"quoted name", 0, 1, "From: \"J" U "rgen, \\\"x\\\"\" <a@b>, c@d\r\n\r\n",
            "From: =?utf-8?b?SsO8cmdlbiwgIngi?= <a@b>, c@d\r\n\r\n", 0},
        {"comment", 0, 1, "From: a@b (J" U "rgen (x))\r\n\r\n",
            "From: a@b ( =?utf-8?b?SsO8cmdlbg==?=  x)\r\n\r\n", 0},
        {"group", 0, 1, "To: B" U "ro: a@b, c@d;\r\n\r\n",
            "To: =?utf-8?b?QsO8cm8=?=: a@b, c@d;\r\n\r\n", 0},
        {"address", 0, 1, "From: J <j" U "@b>\r\n\r\n", NULL, 7},
        {"bare address", 0, 1, "From: j" U "@b, c@d\r\n\r\n", NULL, 7},
        {"identifier", 0, 1, "Message-ID: <" U "@b>\r\n\r\n", NULL, 9},
        {"trace", 0, 1, "Received: by x for <" U "@b>\r\n\r\n", "Received: by x for <??@b>\r\n\r\n",
            0},
        {"file name", 0, 1,
            "Content-Disposition: attachment; filename=\"T" U "r %.txt\"; size=1\r\n\r\n",
            "Content-Disposition: attachment;\r\n filename*=utf-8''T%C3%BCr%20%25.txt;\r\n"
            " size=1\r\n\r\n",
            0},
        {"type", 0, 1, "Content-Type: text/plain; charset=utf-8; name=\"" U "\"\r\n\r\n",
            "Content-Type: text/plain; charset=utf-8;\r\n name*=utf-8''%C3%BC\r\n\r\n", 0},
        {"long name", 0, 1,
            "Content-Type: text/plain; "
            "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn=\"" U "\"\r\n\r\n",
            NULL, 3},
        {"signed", 0, 1, "DKIM-Signature: x\r\nSubject: " U "\r\n\r\n", NULL, 9},
        {"junk", 0, 1, "Subject: x\r\nno field " U "\r\n\r\n", "Subject: x\r\nno field ??\r\n\r\n",
            0},
        {"embedded stays", 0, 1, "Content-Type: message/rfc822\r\n\r\nSubject: " U "\r\n\r\n",
            "Content-Type: message/rfc822\r\n\r\nSubject: " U "\r\n\r\n", 0},
    };
    run_all(rows, ARRAY_COUNT(rows));
}

static uint64_t convert_lines(struct str content, struct buf *out)
{
    struct downgrade_want want = {.lines = true};
    struct err e;
    uint64_t long_lines = 99;
    assert_int_equal(downgrade_all(want, content, 1000, out, &long_lines, &e), 0);
    downgrade_check(want, content, buf_str(out), long_lines);
    return long_lines;
}

/* RFC 5321 4.5.3.1.6: encoded or folded where that harms nothing, else counted. */
static void test_long_lines(void **state)
{
    (void)state;
    static const struct {
        const char *head, *tail;
        bool spaces;
        uint64_t left;
    } rows[] = {
        {"A: b\r\n\r\n", "\r\n", false, 0},
        {"A: b\r\n\r\n", "", false, 0},
        {"DKIM-Signature: x\r\n\r\n", "\r\n", false, 1},
        {"Content-Type: message/partial\r\n\r\n", "\r\n", false, 1},
        {QP "\r\n", "\r\n", false, 0},
        {"References: ", "\r\n\r\n", true, 0},
        {"X-Long: ", "\r\n\r\n", false, 0}, /* folded behind the colon: 997 octets are left */
        {"DKIM-Signature: ", "\r\n\r\n", true, 1},
        {MIXED "\r\n", "\r\n--b\r\n\r\nx\r\n--b--\r\n", false, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf in, out;
        buf_init(&in, ROOM);
        buf_init(&out, ROOM);
        buf_put(&in, str_c(rows[i].head));
        for (int k = 0; k < (rows[i].spaces ? 3000 : 996); k++)
            buf_put_c(&in, rows[i].spaces && k % 50 == 49 ? ' ' : 'a');
        if (!rows[i].spaces)
            buf_put(&in, rows[i].head[0] == 'X' ? STR("") : STR("aaaaa"));
        buf_put(&in, str_c(rows[i].tail));
        uint64_t left = convert_lines(buf_str(&in), &out);
        if (left != rows[i].left)
            fail_msg("row %zu: %u lines are left", i, (unsigned)left);
        buf_done(&in);
        buf_done(&out);
    }
}

static void test_scan(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool eight_header, eight_body, dkim;
        unsigned longest;
    } rows[] = {
        {"", 0, 0, 0, 0},
        {"A: b\r\n\r\ntext\r\n", 0, 0, 0, 4},
        {"A: " U "\r\n\r\ntext\r\n", 1, 0, 0, 5},
        {"A: b\r\n\r\n" U "\n", 0, 1, 0, 4},
        {"T" U "r\r\n\r\n", 0, 1, 0, 4}, /* the first line is no field */
        {"dkim-signature : x\r\nA: " U "\r\n\r\n" U "longer than that", 1, 1, 1, 18},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (size_t piece = 1; piece < 60; piece++) {
            struct downgrade_scan s;
            downgrade_scan_init(&s);
            for (struct str r = str_c(rows[i].in); r.n > 0; r = str_from(r, piece))
                downgrade_scan_feed(&s, str_head(r, piece));
            downgrade_scan_finish(&s);
            if (s.eight_header != rows[i].eight_header || s.eight_body != rows[i].eight_body ||
                s.dkim != rows[i].dkim || s.longest != rows[i].longest)
                fail_msg("row %zu in pieces of %zu", i, piece);
        }
    }
}

static void test_needed(void **state)
{
    (void)state;
    static const struct {
        bool eight_header, eight_body, dkim, too_long;
        bool has_8bitmime, has_smtputf8, smtputf8;
        bool body, header, lines;
    } rows[] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {0, 1, 0, 0, 1, 0, 0, 0, 0, 0},
        {0, 1, 0, 0, 0, 0, 0, 1, 0, 0},
        {1, 0, 0, 0, 1, 0, 0, 0, 0, 0}, /* raw octets go where 8BITMIME is */
        {1, 0, 0, 0, 1, 0, 1, 0, 1, 0},
        {1, 0, 0, 0, 1, 1, 1, 0, 0, 0},
        {1, 0, 0, 0, 0, 0, 0, 1, 1, 0},
        {0, 0, 0, 1, 1, 1, 0, 0, 0, 1},
        {0, 0, 1, 1, 1, 1, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct downgrade_scan s = {.eight_header = rows[i].eight_header,
            .eight_body = rows[i].eight_body,
            .dkim = rows[i].dkim,
            .longest = rows[i].too_long ? 999 : 998};
        struct downgrade_want want;
        bool needed = downgrade_needed(
            &s, rows[i].has_8bitmime, rows[i].has_smtputf8, rows[i].smtputf8, &want);
        if (want.body != rows[i].body || want.header != rows[i].header ||
            want.lines != rows[i].lines || needed != (want.body || want.header || want.lines))
            fail_msg("row %zu", i);
    }
}

static void test_limits(void **state)
{
    (void)state;
    struct buf in, out;
    struct err e;
    uint64_t long_lines;
    struct downgrade_want want = {.body = true, .header = true, .lines = true};
    buf_init(&in, ROOM);
    buf_init(&out, ROOM);
    buf_put(&in, STR(MIXED "\r\n"));
    for (int i = 0; i < 2500; i++)
        buf_put(&in, STR("--b\r\n\r\n" U "\r\n"));
    assert_int_equal(downgrade_all(want, buf_str(&in), 4096, &out, &long_lines, &e), -1);
    assert_int_equal(e.class, ERR_PERMANENT);
    assert_int_equal(e.status.detail, 3);
    buf_clear(&in);
    for (int i = 0; i < 6000; i++)
        buf_put(&in, STR("A: " U "\r\n"));
    assert_int_equal(downgrade_all(want, buf_str(&in), 4096, &out, &long_lines, &e), -1);
    assert_int_equal(e.status.detail, 3);
    buf_done(&in);
    buf_done(&out);
}

static void test_memory(void **state)
{
    (void)state;
    static const char content[] =
        MIXED "Subject: " U "\r\nFrom: \"" U "\" <a@b>\r\n\r\n--b\r\n"
              "Content-Type: text/plain; name=" U "\r\n\r\n" U "\r\n--b--\r\n";
    for (uint64_t n = 1;; n++) {
        struct downgrade_want want = {true, true, true};
        struct buf out;
        struct err e = {0};
        uint64_t long_lines;
        buf_init(&out, ROOM);
        mem_fail_at(n);
        int result = downgrade_all(want, str_c(content), 100, &out, &long_lines, &e);
        bool reached = mem_fail_at(0) < n;
        buf_done(&out);
        if (result == 0 && reached)
            break;
        if (result < 0 && e.class != ERR_TEMPORARY)
            fail_msg("allocation %u: %s", (unsigned)n, e.text);
        assert_true(n < 1000);
    }
}

struct tally {
    unsigned converted, refused;
};

static void convert_file(const char *path, struct str content, void *arg)
{
    struct tally *tally = arg;
    struct buf crlf, out;
    struct err e;
    uint64_t long_lines;
    (void)path;
    buf_init(&crlf, 2 * content.n + 1);
    if (testdata_crlf(content, &crlf)) {
        for (unsigned k = 1; k < 8; k++) {
            struct downgrade_want want = {k & 1, k & 2, k & 4};
            buf_init(&out, TRANSFER_ENCODED_MAX(2 * content.n) + DOWNGRADE_MEMORY_MAX);
            if (downgrade_all(want, buf_str(&crlf), 4096, &out, &long_lines, &e) == 0) {
                downgrade_check(want, buf_str(&crlf), buf_str(&out), long_lines);
                tally->converted++;
            } else {
                assert_int_equal(e.class, ERR_PERMANENT);
                tally->refused++;
            }
            buf_done(&out);
        }
    }
    buf_done(&crlf);
}

/* The messages of other projects mean the same afterwards. */
static void test_conformance(void **state)
{
    (void)state;
    struct tally tally = {0};
    testdata_each("mime", ".eml", convert_file, &tally);
    testdata_each("mime", ".txt", convert_file, &tally);
    testdata_each("bounce", ".eml", convert_file, &tally);
    printf("%u converted, %u refused\n", tally.converted, tally.refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_needed),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_conformance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
