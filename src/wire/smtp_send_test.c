#include "wire/smtp_send.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/unit_test.h"

static const struct {
    struct str in, data, bdat;
} rows[] = {
    {STR_INIT(""), STR_INIT(""), STR_INIT("")},
    {STR_INIT("a\r\nb\r\n"), STR_INIT("a\r\nb\r\n"), STR_INIT("a\r\nb\r\n")},
    /* RFC 5321 4.5.2 */
    {STR_INIT(".\r\n..\r\na.\r\n.b"), STR_INIT("..\r\n...\r\na.\r\n..b\r\n"),
        STR_INIT(".\r\n..\r\na.\r\n.b")},
    /* RFC 5321 2.3.8, hostile.md 4 */
    {STR_INIT("a\n.\nb\r\n"), STR_INIT("a . b\r\n"), STR_INIT("a . b\r\n")},
    {STR_INIT("a\r\n.\nb\r\n"), STR_INIT("a\r\n.. b\r\n"), STR_INIT("a\r\n. b\r\n")},
    {STR_INIT("a\n.\r\nb"), STR_INIT("a .\r\nb\r\n"), STR_INIT("a .\r\nb")},
    {STR_INIT("a\r.\r\rb\r"), STR_INIT("a .  b \r\n"), STR_INIT("a .  b ")},
    {STR_INIT("a\r\r\n.\r\n"), STR_INIT("a \r\n..\r\n"), STR_INIT("a \r\n.\r\n")},
    {STR_INIT("\n\r"), STR_INIT("  \r\n"), STR_INIT("  ")},
};

/* All of it in pieces of at most `step` octets. */
static void send_all(struct str in, bool dots, size_t step, struct buf *out)
{
    struct smtp_sender s;

    smtp_sender_init(&s, dots);
    while (!str_empty(in)) {
        struct str piece = str_head(in, step);
        in = str_from(in, piece.n);
        while (!str_empty(piece))
            buf_put(out, smtp_sender_next(&s, &piece));
    }
    buf_put(out, smtp_sender_finish(&s));
}

static void test_rows(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 16);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (size_t step = 1; step <= rows[i].in.n + 1; step++) {
            buf_clear(&out);
            send_all(rows[i].in, true, step, &out);
            if (!str_eq(buf_str(&out), rows[i].data))
                fail_msg("row %zu by DATA, step %zu: %.*s", i, step, STR_ARG(buf_str(&out)));
            buf_clear(&out);
            send_all(rows[i].in, false, step, &out);
            if (!str_eq(buf_str(&out), rows[i].bdat))
                fail_msg("row %zu by BDAT, step %zu: %.*s", i, step, STR_ARG(buf_str(&out)));
        }
    buf_done(&out);
}

/* All words of a few octets: only CRLF, the length, no end of data before the end. */
static void test_all_words(void **state)
{
    static const char letters[] = {'\r', '\n', '.', 'a'};
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 10);
    for (unsigned word = 0; word < 1U << 14; word++) {
        char text[7];
        struct str got;
        for (unsigned i = 0; i < 7; i++)
            text[i] = letters[word >> 2 * i & 3];
        buf_clear(&out);
        send_all(str_of(text, 7), false, 3, &out);
        assert_int_equal(buf_len(&out), 7);
        buf_clear(&out);
        send_all(str_of(text, 7), true, 2, &out);
        got = buf_str(&out);
        for (size_t i = 0; i < got.n; i++) {
            assert_false(got.p[i] == '\n' && (i == 0 || got.p[i - 1] != '\r'));
            assert_false(got.p[i] == '\r' && (i + 1 == got.n || got.p[i + 1] != '\n'));
        }
        assert_true(str_ends(got, STR("\r\n")) && !str_starts(got, STR(".\r\n")));
        assert_true(str_find_str(got, STR("\r\n.\r\n")) < 0);
    }
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_all_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
