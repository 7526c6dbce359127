#include "ipc/frame.h"

#include "base/mem.h"
#include "base/unit_test.h"

static void feed(struct frame_reader *r, struct str s)
{
    while (s.n) {
        size_t room;
        char *to = frame_reader_space(r, &room);
        size_t n = s.n < room ? s.n : room;
        assert_true(room > 0);
        memcpy(to, s.p, n);
        frame_reader_filled(r, n);
        s = str_from(s, n);
    }
}

static const struct frame examples[] = {
    {FRAME_NOTICE, 7, false, 0, STR_INIT("")},
    {FRAME_NOTICE, 65535, true, 0, STR_INIT("with a descriptor")},
    {FRAME_REQUEST, 1, false, 0xffffffff, STR_INIT("ask")},
    {FRAME_REPLY, 0, false, 1, STR_INIT("answer\0")},
    {FRAME_CREDIT, 0, false, 0, STR_INIT("\1\0\0\0\2\0\0\0")},
};
static const size_t example_count = sizeof examples / sizeof *examples;

static void assert_same(const struct frame *a, const struct frame *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->has_fd, b->has_fd);
    assert_int_equal(a->call, b->call);
    assert_true(str_eq(a->payload, b->payload));
}

static void test_an_octet_at_a_time(void **state)
{
    struct frame_reader r;
    struct frame f;
    struct buf b;
    size_t seen = 0;

    (void)state;
    buf_init(&b, 1 << 16);
    for (size_t i = 0; i < example_count; i++)
        assert_int_equal(frame_put(&b, &examples[i]), 0);
    assert_int_equal(frame_reader_open(&r, NULL), 0);
    for (size_t i = 0; i < buf_len(&b); i++) {
        int found;
        feed(&r, str_sub(buf_str(&b), i, 1));
        while ((found = frame_next(&r, &f, NULL)) > 0)
            assert_same(&f, &examples[seen++]);
        assert_int_equal(found, 0);
    }
    assert_int_equal(seen, example_count);
    assert_true(frame_reader_empty(&r));
    frame_reader_close(&r);
    buf_done(&b);
}

/* Frames of the largest size, offered as much as there is room for: none is ever stuck. */
static void test_largest(void **state)
{
    static char octets[CHANNEL_FRAME_MAX];
    const struct frame f = {FRAME_NOTICE, 1, false, 0, {octets, sizeof octets}};
    struct frame_reader r;
    struct buf b;
    struct str rest;
    unsigned seen = 0;

    (void)state;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 15; i++)
        assert_int_equal(frame_put(&b, &f), 0);
    rest = buf_str(&b);
    assert_int_equal(frame_reader_open(&r, NULL), 0);
    while (rest.n) {
        struct frame got;
        size_t room, n;
        frame_reader_space(&r, &room);
        n = room - seen; /* never aligned to the frames */
        feed(&r, str_head(rest, n));
        rest = str_from(rest, n);
        while (frame_next(&r, &got, NULL) > 0) {
            assert_int_equal(got.payload.n, sizeof octets);
            seen++;
        }
    }
    assert_int_equal(seen, 15);
    frame_reader_close(&r);
    buf_done(&b);
}

static const struct {
    const char *what;
    struct str octets;
} refused[] = {
    {"65,537 octets", STR_INIT("\1\0\1\0\1\0\0\0\0\0\0\0")},
    {"4 GiB", STR_INIT("\xff\xff\xff\xff\1\0\0\0\0\0\0\0")},
    {"an unknown flag", STR_INIT("\0\0\0\0\1\0\x08\0\0\0\0\0")},
    {"a notice with a call", STR_INIT("\0\0\0\0\1\0\0\0\1\0\0\0")},
    {"a request without a call", STR_INIT("\0\0\0\0\1\0\1\0\0\0\0\0")},
    {"a request with a descriptor", STR_INIT("\0\0\0\0\1\0\5\0\1\0\0\0")},
    {"a reply without a call", STR_INIT("\0\0\0\0\0\0\2\0\0\0\0\0")},
    {"a reply with a type", STR_INIT("\0\0\0\0\1\0\2\0\1\0\0\0")},
    {"credit of 7 octets", STR_INIT("\7\0\0\0\0\0\3\0\0\0\0\0")},
    {"credit with a call", STR_INIT("\x08\0\0\0\0\0\3\0\1\0\0\0")},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct frame_reader r;
        struct frame f;
        struct err e = {0};
        assert_int_equal(frame_reader_open(&r, NULL), 0);
        feed(&r, refused[i].octets);
        if (frame_next(&r, &f, &e) != -1)
            fail_msg("accepted: %s", refused[i].what);
        assert_int_equal(e.class, ERR_BUG);
        frame_reader_close(&r);
    }
}

static void test_without_memory(void **state)
{
    struct frame_reader r;
    struct buf b;

    (void)state;
    mem_fail_at(1);
    assert_int_equal(frame_reader_open(&r, NULL), -1);
    mem_fail_at(0);
    /* A buffer that is full stays good and as it was. */
    buf_init(&b, 40);
    assert_int_equal(frame_put(&b, &examples[0]), 0);
    assert_int_equal(frame_put(&b, &examples[1]), -1);
    assert_int_equal(buf_len(&b), FRAME_HEADER);
    assert_int_equal(frame_put(&b, &examples[0]), 0);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_octet_at_a_time),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
