#include "mail/header_map.h"

#include "base/mem.h"
#include "base/unit_test.h"

/* old@… sends as new@…, to@old.example receives as to@new.example. */
static bool map(void *arg, bool sender, struct str address, struct buf *out)
{
    (void)arg;
    if (sender && str_starts(address, STR("old@"))) {
        buf_put(out, STR("new"));
        buf_put(out, str_from(address, 3));
        return true;
    }
    if (!sender && str_ends(address, STR("@old.example"))) {
        buf_put(out, str_head(address, address.n - 11));
        buf_put(out, STR("new.example"));
        return true;
    }
    return false;
}

static void put(void *arg, struct str octets)
{
    buf_put(arg, octets);
}

static const struct {
    const char *in, *out; /* NULL: the same */
} rows[] = {
    {"From: old@a.example\r\n\r\nFrom: old@a.example\r\n",
        "From: new@a.example\r\n\r\nFrom: old@a.example\r\n"},
    /* names, comments, folding stay: RFC 5322 3.4, 3.2.2 */
    {"From: \"old@a.example\" (old@a.example)\r\n <old@a.example> (x)\r\n\r\n",
        "From: \"old@a.example\" (old@a.example)\r\n <new@a.example> (x)\r\n\r\n"},
    {"Sender: old@a.example\r\nReply-To: x@a, old@b\r\n\r\n",
        "Sender: new@a.example\r\nReply-To: x@a, new@b\r\n\r\n"},
    {"To: a@old.example,\r\n\tB <b@old.example>, c@else.example\r\nCc: team: "
     "d@old.example;\r\n\r\n",
        "To: a@new.example,\r\n\tB <b@new.example>, c@else.example\r\nCc: team: d@new.example;\r\n"
        "\r\n"},
    /* senders are not recipients */
    {"From: a@old.example\r\nTo: old@a.example\r\n\r\n", NULL},
    {"Subject: old@a.example\r\nX-From: old@a.example\r\nBcc: a@old.example\r\n\r\n", NULL},
    /* RFC 5322 4.5: white space before the colon; any case */
    {"FROM : old@a.example\r\n\r\n", "FROM : new@a.example\r\n\r\n"},
    /* RFC 5322 4.4: routes */
    {"From: <@r.example:old@a.example>\r\n\r\n", "From: <@r.example:new@a.example>\r\n\r\n"},
    {"To: \"a b\"@old.example\r\n\r\n", "To: \"a b\"@new.example\r\n\r\n"},
    {"From: old @ a.example\r\n\r\n", "From: new@a.example\r\n\r\n"},
    /* what is no address, no field, no header */
    {"From: old@\r\nTo: @old.example\r\nFrom: old\r\n\r\n", NULL},
    {"no field\r\nFrom: old@a.example\r\n", NULL},
    {"From x@y Mon\r\nFrom: old@a.example\r\n\r\n", "From x@y Mon\r\nFrom: new@a.example\r\n\r\n"},
    {"A: b\r\njunk line\r\nFrom: old@a.example\r\n\r\n",
        "A: b\r\njunk line\r\nFrom: new@a.example\r\n\r\n"},
    {" folded\r\nFrom: old@a.example\r\n\r\n", " folded\r\nFrom: new@a.example\r\n\r\n"},
    /* without an end */
    {"From: old@a.example", "From: new@a.example"},
    {"From: old@a.example\r\n", "From: new@a.example\r\n"},
    {"From", NULL},
    {"From ", NULL},
    {"", NULL},
    {"\r\nFrom: old@a.example\r\n", NULL},
    {"\r", NULL},
};

static void check_row(size_t i, size_t step)
{
    struct str in = str_c(rows[i].in), want = str_c(rows[i].out ? rows[i].out : rows[i].in);
    struct header_map m;
    struct buf out;

    buf_init(&out, 1 << 20);
    header_map_init(&m, map, put, &out);
    for (size_t at = 0; at < in.n; at += step)
        header_map_feed(&m, str_sub(in, at, step));
    header_map_finish(&m);
    assert_false(m.failed);
    if (!str_eq(buf_str(&out), want))
        fail_msg("row %zu in steps of %zu: %.*s", i, step, STR_ARG(buf_str(&out)));
    header_map_done(&m);
    buf_done(&out);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (size_t step = 1; step < 40; step += step < 4 ? 1 : 13)
            check_row(i, step);
}

static void test_long_field(void **state)
{
    struct header_map m;
    struct buf in, out;

    (void)state;
    buf_init(&in, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_put(&in, STR("From: old@a.example"));
    while (buf_len(&in) < HEADER_MAP_FIELD_MAX + 10)
        buf_put(&in, STR(",\r\n old@a.example"));
    buf_put(&in, STR("\r\nSender: "));
    header_map_init(&m, map, put, &out);
    header_map_feed(&m, buf_str(&in));
    header_map_feed(&m, STR("old@a.example\r\n\r\n"));
    header_map_finish(&m);
    assert_true(str_starts(buf_str(&out), buf_str(&in)));
    assert_true(str_ends(buf_str(&out), STR("\r\nSender: new@a.example\r\n\r\n")));
    header_map_done(&m);
    buf_done(&in);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_long_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
