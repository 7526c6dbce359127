#include "ipc/codec.h"

#include "base/unit_test.h"

static void test_layout(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    enc_u8(&b, 0x01);
    enc_u16(&b, 0x0302);
    enc_u32(&b, 0x07060504);
    enc_u64(&b, 0x0f0e0d0c0b0a0908);
    enc_bool(&b, true);
    enc_str(&b, STR("ab"));
    assert_true(str_eq(buf_str(&b), STR("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e"
                                        "\x0f\x01\x02\0\0\0ab")));
    buf_done(&b);
}

static void encode_all(struct buf *b)
{
    struct err error;

    err_set_status(&error, ERR_PERMANENT, (struct err_status){5, 1, 300}, "test", "no \xc3\xa9");
    enc_u8(b, 200);
    enc_u16(b, 60000);
    enc_u32(b, 4000000000);
    enc_u64(b, UINT64_MAX - 1);
    enc_bool(b, false);
    enc_str(b, STR_NONE);
    enc_str(b, STR("x\0y"));
    enc_err(b, &error);
    enc_u32(b, 2);
    enc_u16(b, 1);
    enc_u16(b, 2);
}

/* Reads what encode_all() wrote. */
static int decode_all(struct str payload, struct err *e)
{
    struct dec d = dec_of(payload);
    struct err error;
    bool same = dec_u8(&d) == 200 && dec_u16(&d) == 60000 && dec_u32(&d) == 4000000000 &&
                dec_u64(&d) == UINT64_MAX - 1 && !dec_bool(&d) && str_empty(dec_str(&d, 10)) &&
                str_eq(dec_str(&d, 3), STR("x\0y"));

    dec_err(&d, &error);
    same = same && error.class == ERR_PERMANENT && error.status.class == 5 &&
           error.status.subject == 1 && error.status.detail == 300 &&
           strcmp(error.origin, "peer") == 0 && strcmp(error.text, "no \xc3\xa9") == 0;
    same = same && dec_count(&d, 2, 2) == 2 && dec_u16(&d) == 1 && dec_u16(&d) == 2;
    if (dec_done(&d, "all", e) < 0)
        return -1;
    assert_true(same);
    return 0;
}

static void test_round_trip(void **state)
{
    struct err e = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    encode_all(&b);
    assert_int_equal(decode_all(buf_str(&b), NULL), 0);
    for (size_t n = 0; n < buf_len(&b); n++) {
        assert_int_equal(decode_all(str_head(buf_str(&b), n), &e), -1);
        assert_int_equal(e.class, ERR_BUG);
    }
    buf_put_c(&b, 'x');
    assert_int_equal(decode_all(buf_str(&b), NULL), -1);
    buf_done(&b);
}

static const struct {
    const char *what;
    struct str payload;
    char reader; /* which reader refuses it */
} refused[] = {
    {"a bool that is neither", STR_INIT("\x02"), 'b'},
    {"a slice longer than its ceiling", STR_INIT("\x05\0\0\0abcde"), 's'},
    {"a slice longer than the payload", STR_INIT("\x04\0\0\0abc"), 's'},
    {"a slice of 4 GiB", STR_INIT("\xff\xff\xff\xff"), 's'},
    {"a count above its ceiling", STR_INIT("\x05\0\0\0\0\0\0\0\0\0\0\0"), 'c'},
    {"a count that the rest cannot hold", STR_INIT("\x03\0\0\0\0\0\0\0\0"), 'c'},
    {"an unknown class", STR_INIT("\x07\x05\0\0\0\0\0\0\0\0"), 'e'},
    {"a NUL in the text", STR_INIT("\x01\x05\0\0\0\0\x01\0\0\0\0"), 'e'},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct dec d = dec_of(refused[i].payload);
        struct err e;
        switch (refused[i].reader) {
        case 'b':
            assert_false(dec_bool(&d));
            break;
        case 's':
            assert_int_equal(dec_str(&d, 4).n, 0);
            break;
        case 'c':
            assert_int_equal(dec_count(&d, 4, 2), 0);
            break;
        default:
            dec_err(&d, &e);
            assert_int_equal(e.class, ERR_NONE);
            break;
        }
        if (!d.bad)
            fail_msg("accepted: %s", refused[i].what);
        /* Once bad, nothing but zeros comes. */
        assert_int_equal(dec_u8(&d) + dec_u16(&d) + dec_u32(&d) + dec_u64(&d), 0);
        assert_int_equal(dec_done(&d, "refused", NULL), -1);
    }
}

static void test_full_buffer(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 7);
    enc_str(&b, STR("abcd"));
    assert_false(buf_ok(&b));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_full_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
