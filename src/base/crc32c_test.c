#include "base/crc32c.h"

#include "base/unit_test.h"

/* RFC 3720 B.4, and the check value of the catalogues. */
static void test_known(void **state)
{
    char zeros[32] = {0}, ones[32], rising[32], falling[32];

    (void)state;
    for (int i = 0; i < 32; i++) {
        ones[i] = (char)0xff;
        rising[i] = (char)i;
        falling[i] = (char)(31 - i);
    }
    assert_int_equal(crc32c(STR("123456789")), 0xe3069283);
    assert_int_equal(crc32c(str_of(zeros, 32)), 0x8a9136aa);
    assert_int_equal(crc32c(str_of(ones, 32)), 0x62a8ab43);
    assert_int_equal(crc32c(str_of(rising, 32)), 0x46dd794e);
    assert_int_equal(crc32c(str_of(falling, 32)), 0x113fdb5c);
    assert_int_equal(crc32c(STR_NONE), 0);
}

static char data[4096];

static void fill(void)
{
    uint32_t v = 1;

    for (size_t i = 0; i < sizeof data; i++) {
        v = v * 1664525 + 1013904223;
        data[i] = (char)(v >> 24);
    }
}

/* Both versions agree at every length and every alignment. */
static void test_twins(void **state)
{
    (void)state;
    for (size_t start = 0; start < 9; start++)
        for (size_t n = 0; n < 200; n++) {
            struct str s = str_of(data + start, n);
            assert_int_equal(crc32c_extend(7, s), crc32c_extend_portable(7, s));
        }
}

static void test_parts(void **state)
{
    uint32_t whole = crc32c(str_of(data, sizeof data));

    (void)state;
    for (size_t cut = 0; cut <= sizeof data; cut += cut < 40 ? 1 : 97) {
        struct str a = str_of(data, cut), b = str_of(data + cut, sizeof data - cut);
        assert_int_equal(crc32c_extend(crc32c(a), b), whole);
        assert_int_equal(crc32c_combine(crc32c(a), crc32c(b), b.n), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_twins),
        cmocka_unit_test(test_parts),
    };

    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
