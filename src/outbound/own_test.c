#include "outbound/own.h"

#include "base/mem.h"
#include "base/unit_test.h"

static struct net_address address_of(const char *text)
{
    struct net_address a;

    assert_int_equal(net_parse(str_c(text), &a, NULL), 0);
    return a;
}

/* hostile.md 129 */
static void test_targets(void **state)
{
    static const struct {
        const char *address;
        bool allowed, allowed_private; /* with mx-private = yes */
    } rows[] = {
        {"8.8.8.8:25", true, true},
        {"[2600::1]:25", true, true},
        {"9.9.9.9:25", false, false}, /* own-addresses */
        {"[2600::25]:25", false, false},
        {"7.7.7.7:25", false, false}, /* a listener's */
        {"0.0.0.0:25", false, false},
        {"[::]:25", false, false},
        {"127.0.0.1:25", false, true},
        {"[::1]:25", false, true},
        {"[::ffff:127.0.0.1]:25", false, true},
        {"10.0.0.1:25", false, true},
        {"192.168.1.1:25", false, true},
        {"169.254.169.254:25", false, true},
        {"[fe80::1]:25", false, true},
        {"[fd00::1]:25", false, true},
        {"224.0.0.1:25", false, false},
        {"[ff02::1]:25", false, false},
    };
    struct str listener[] = {STR_INIT("7.7.7.7:25"), STR_INIT("0.0.0.0:25"), STR_INIT("unix:/x")};
    struct config_listen listen = {.address = {listener, 3}};
    struct net_block blocks[2];
    struct config config = {.own_addresses = {blocks, 2}, .listen = &listen, .listens = 1};
    struct own_addresses own = {0};

    (void)state;
    assert_int_equal(net_block_parse(STR("9.9.9.9"), &blocks[0], NULL), 0);
    assert_int_equal(net_block_parse(STR("2600::25"), &blocks[1], NULL), 0);
    assert_int_equal(own_add_config(&own, &config, NULL), 0);
    assert_int_equal(own.count, 3);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        for (int private = 0; private < 2; private ++) {
            struct net_address a = address_of(rows[i].address);
            struct err e;
            bool allowed;
            config.mx_private = private;
            allowed = own_check_target(&own, &config, &a, &e) == 0;
            if (allowed != (private ? rows[i].allowed_private : rows[i].allowed))
                fail_msg("%s, mx-private %d: %d", rows[i].address, private, allowed);
            if (!allowed) {
                assert_int_equal(e.class, ERR_PERMANENT);
                assert_int_equal(e.status.detail, 6);
            }
        }
    own_done(&own);
}

static void test_interfaces(void **state)
{
    struct own_addresses own = {0};

    (void)state;
    assert_int_equal(own_add_interfaces(&own, NULL), 0);
    assert_int_equal(own_add_interfaces(&own, NULL), 0);
    for (uint32_t i = 0; i < own.count; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_memory_not_equal(own.octets[i], own.octets[k], 16);
    own_done(&own);
}

static void test_without_memory(void **state)
{
    struct str listener[] = {STR_INIT("7.7.7.7:25")};
    struct config_listen listen = {.address = {listener, 1}};
    struct config config = {.listen = &listen, .listens = 1};
    struct own_addresses own = {0};
    struct err e;

    (void)state;
    mem_fail_at(1);
    assert_int_equal(own_add_config(&own, &config, &e), -1);
    mem_fail_at(0);
    assert_int_equal(e.class, ERR_TEMPORARY);
    own_done(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_interfaces),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
