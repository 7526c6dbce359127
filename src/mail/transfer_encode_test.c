#include "mail/transfer_encode.h"

#include <stdio.h>

#include "base/mem.h"
#include "base/unit_test.h"
#include "base/utf8.h"

#include "mail/transfer.h"

static bool encodes(enum mime_encoding encoding, struct str in, struct str wanted)
{
    for (size_t piece = 1; piece <= in.n + 1; piece++) {
        struct transfer_encoder t;
        struct buf out;
        buf_init(&out, TRANSFER_ENCODED_MAX(in.n));
        transfer_encode_init(&t, encoding);
        for (struct str rest = in; rest.n > 0; rest = str_from(rest, piece))
            transfer_encode_feed(&t, str_head(rest, piece), &out);
        transfer_encode_finish(&t, &out);
        bool same = buf_ok(&out) && str_eq(buf_str(&out), wanted);
        if (!same)
            printf("  pieces of %zu: %.*s\n", piece, STR_ARG(buf_str(&out)));
        buf_done(&out);
        if (!same)
            return false;
    }
    return true;
}

static void test_encode(void **state)
{
    (void)state;
    static const struct {
        enum mime_encoding encoding;
        struct str in;
        const char *out;
    } rows[] = {
        {MIME_BASE64, STR_INIT(""), ""}, {MIME_BASE64, STR_INIT("fo"), "Zm8="},
        {MIME_BASE64, STR_INIT("foobar"), "Zm9vYmFy"},
        {MIME_BASE64, STR_INIT("123456789 123456789 123456789 123456789 123456789 1234567x"),
            "MTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NTY3ODkgMTIzNDU2Nzg5IDEyMzQ1Njc4OSAxMjM0NTY3\r\n"
            "eA=="}, /* RFC 2045 6.8: 76 on a line */
        {MIME_QUOTED_PRINTABLE, STR_INIT(""), ""},
        {MIME_QUOTED_PRINTABLE, STR_INIT("a\r\n"), "a\r\n"},
        {MIME_QUOTED_PRINTABLE, STR_INIT("\xc3\xbc=\t~\x7f"), "=C3=BC=3D\t~=7F"}, /* 6.7 (1), (2) */
        {MIME_QUOTED_PRINTABLE, STR_INIT("a \r\nb\t\r\n"), "a=20\r\nb=09\r\n"},   /* (3) */
        {MIME_QUOTED_PRINTABLE, STR_INIT("a  "), "a =20"},
        {MIME_QUOTED_PRINTABLE, STR_INIT("a\nb\rc\r"), "a=0Ab=0Dc=0D"}, /* (4) */
        {MIME_QUOTED_PRINTABLE, STR_INIT("\r\r\n"), "=0D\r\n"},
        {MIME_QUOTED_PRINTABLE, STR_INIT(" \r\0"), "=20=0D=00"},
        {MIME_QUOTED_PRINTABLE,
            STR_INIT("1234567890123456789012345678901234567890123456789012345678901234567890"
                     "12345\r\n"),
            "1234567890123456789012345678901234567890123456789012345678901234567890"
            "12345\r\n"},
        {MIME_QUOTED_PRINTABLE,
            STR_INIT("1234567890123456789012345678901234567890123456789012345678901234567890"
                     "123456"),
            "1234567890123456789012345678901234567890123456789012345678901234567890"
            "12345=\r\n6"}, /* (5) */
        {MIME_QUOTED_PRINTABLE,
            STR_INIT("1234567890123456789012345678901234567890123456789012345678901234567890"
                     "12345--b"),
            "1234567890123456789012345678901234567890123456789012345678901234567890"
            "12345=\r\n=2D-b"}, /* nothing becomes a delimiter */
    };
    unsigned bad = 0;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!encodes(rows[i].encoding, rows[i].in, str_c(rows[i].out))) {
            printf("  row %zu\n", i);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

/* Every pair and triple of what matters comes back, in lines that are short. */
static void test_round_trip(void **state)
{
    (void)state;
    static const char octets[] = " \t\r\n=-.a\0\xff";
    enum {
        N = sizeof octets - 1,
        LENGTH = 5
    };
    for (unsigned long k = 0; k < (unsigned long)N * N * N * N * N; k++) {
        char text[LENGTH];
        unsigned long rest = k;
        for (int i = 0; i < LENGTH; i++, rest /= N)
            text[i] = octets[rest % N];
        struct buf encoded, decoded;
        buf_init(&encoded, TRANSFER_ENCODED_MAX(LENGTH));
        buf_init(&decoded, 512);
        transfer_encode(MIME_QUOTED_PRINTABLE, str_of(text, LENGTH), &encoded);
        assert_int_equal(transfer_decode(MIME_QUOTED_PRINTABLE, buf_str(&encoded), &decoded), 0);
        assert_true(ascii_only(buf_str(&encoded)));
        if (!str_eq(buf_str(&decoded), str_of(text, LENGTH)))
            fail_msg("%lu: %.*s", k, STR_ARG(buf_str(&encoded)));
        buf_done(&encoded);
        buf_done(&decoded);
    }
}

static void test_full(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4);
    assert_int_equal(transfer_encode(MIME_QUOTED_PRINTABLE, STR("abcde"), &out), -1);
    buf_clear(&out);
    assert_int_equal(transfer_encode(MIME_BASE64, STR("abcde"), &out), -1);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
