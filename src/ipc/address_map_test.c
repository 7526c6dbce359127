#include "ipc/address_map.h"

#include "base/mem.h"
#include "base/table.h"
#include "base/unit_test.h"

static struct config_map sections[] = {
    {STR_INIT("ann@corp.example"), STR_INIT("Ann.Smith@corp.example"), STR_INIT(""), true},
    {STR_INIT("@*.corp.example"), STR_INIT("@corp.example"), STR_INIT("@corp.example"), true},
    {STR_INIT("@old.example"), STR_INIT(""), STR_INIT("@new.example"), false},
    {STR_INIT("sales@old.example"), STR_INIT(""), STR_INIT("shop@else.example"), false},
    {STR_INIT("ann@old.example"), STR_INIT("ann@corp.example"), STR_INIT(""), false},
};

static const struct config config = {.map = sections, .maps = ARRAY_COUNT(sections)};

static void test_map(void **state)
{
    static const struct {
        enum address_map_use use;
        const char *from, *to; /* NULL: unchanged */
    } rows[] = {
        {MAP_SENDER, "ann@corp.example", "Ann.Smith@corp.example"},
        {MAP_SENDER, "ANN@Corp.Example", "Ann.Smith@corp.example"},
        {MAP_SENDER, "bob@corp.example", NULL},
        {MAP_SENDER, "bob@pc7.corp.example", "bob@corp.example"},
        {MAP_SENDER, "bob@a.b.corp.example", "bob@corp.example"},
        {MAP_SENDER, "\"b b\"@pc7.corp.example", "\"b b\"@corp.example"},
        {MAP_SENDER, "ann@pc7.corp.example", "ann@corp.example"}, /* once only */
        {MAP_SENDER, "ann@old.example", "ann@corp.example"},
        {MAP_SENDER, "x@old.example", NULL},
        {MAP_SENDER, "", NULL},
        {MAP_SENDER, "postmaster", NULL},
        {MAP_RECIPIENT, "x@old.example", "x@new.example"},
        {MAP_RECIPIENT, "Sales@old.example", "shop@else.example"},
        {MAP_RECIPIENT, "ann@corp.example", NULL},
        {MAP_HEADER_RECIPIENT, "x@old.example", NULL}, /* header = no */
        {MAP_HEADER_RECIPIENT, "x@pc.corp.example", "x@corp.example"},
        {MAP_HEADER_SENDER, "ann@old.example", NULL},
        {MAP_HEADER_SENDER, "bob@pc7.corp.example", "bob@corp.example"},
    };
    struct address_maps *maps;
    struct buf out;

    (void)state;
    assert_int_equal(address_maps_make(&config, &maps, NULL), 0);
    buf_init(&out, 1024);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool mapped;
        buf_clear(&out);
        mapped = address_map(maps, rows[i].use, str_c(rows[i].from), &out);
        if (mapped != (rows[i].to != NULL) || !str_eq(buf_str(&out), str_c(rows[i].to)))
            fail_msg("%s: %.*s", rows[i].from, STR_ARG(buf_str(&out)));
    }
    assert_true(address_maps_have(maps, MAP_HEADER_SENDER));
    buf_done(&out);
    address_maps_free(&maps);
}

/* RFC 5321 4.5.3.1.3: what would be too long for a path stays as it is. */
static void test_too_long(void **state)
{
    static char local[] =
        "1234567890123456789012345678901234567890123456789012345678901234@a.example";
    char domain[241];
    struct config_map long_one = {.title = STR("@a.example"), .recipient = str_c(domain)};
    const struct config with = {.map = &long_one, .maps = 1};
    struct address_maps *maps;
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof domain - 1; i++)
        domain[i] = i % 20 == 0 ? '.' : 'd';
    domain[0] = '@';
    domain[sizeof domain - 1] = '\0';
    long_one.recipient = str_c(domain);
    assert_int_equal(address_maps_make(&with, &maps, NULL), 0);
    buf_init(&out, 1024);
    assert_true(address_map(maps, MAP_RECIPIENT, STR("x@a.example"), &out));
    assert_false(address_map(maps, MAP_RECIPIENT, str_c(local), &out));
    buf_done(&out);
    address_maps_free(&maps);
}

static void test_no_memory(void **state)
{
    struct address_maps *maps;
    uint64_t n = 0;

    (void)state;
    do {
        mem_fail_at(++n);
        maps = NULL;
    } while (address_maps_make(&config, &maps, NULL) < 0 && n < 1000);
    mem_fail_at(0);
    assert_non_null(maps);
    address_maps_free(&maps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_no_memory),
    };
    const uint8_t seed[16] = {0};

    table_seed(seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
