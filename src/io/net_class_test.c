#include <stdio.h>

#include "base/unit_test.h"

#include "io/net.h"

/* hostile.md 129: each network's first and last address, and those beside it. */
static const struct {
    const char *address;
    enum net_class class;
} class_rows[] = {
    {"0.0.0.0", NET_UNSPECIFIED},
    {"0.255.255.255", NET_UNSPECIFIED},
    {"1.0.0.0", NET_PUBLIC},
    {"9.255.255.255", NET_PUBLIC},
    {"10.0.0.1", NET_PRIVATE},
    {"11.0.0.0", NET_PUBLIC},
    {"100.63.255.255", NET_PUBLIC},
    {"100.64.0.0", NET_PRIVATE},
    {"100.127.255.255", NET_PRIVATE},
    {"100.128.0.0", NET_PUBLIC},
    {"126.255.255.255", NET_PUBLIC},
    {"127.0.0.1", NET_LOOPBACK},
    {"127.255.255.255", NET_LOOPBACK},
    {"128.0.0.0", NET_PUBLIC},
    {"169.254.169.254", NET_LINK_LOCAL},
    {"172.15.255.255", NET_PUBLIC},
    {"172.16.0.0", NET_PRIVATE},
    {"172.31.255.255", NET_PRIVATE},
    {"172.32.0.0", NET_PUBLIC},
    {"192.0.2.1", NET_RESERVED},
    {"192.168.0.1", NET_PRIVATE},
    {"198.19.255.255", NET_RESERVED},
    {"223.255.255.255", NET_PUBLIC},
    {"224.0.0.1", NET_MULTICAST},
    {"240.0.0.1", NET_RESERVED},
    {"255.255.255.255", NET_RESERVED},
    {"[::]", NET_UNSPECIFIED},
    {"[::1]", NET_LOOPBACK},
    {"[2600::1]", NET_PUBLIC},
    {"[2001:db8::1]", NET_RESERVED},
    {"[2001:2::1]", NET_RESERVED},
    {"[2001:200::1]", NET_PUBLIC},
    {"[3fff::1]", NET_RESERVED},
    {"[4000::1]", NET_RESERVED},
    {"[fc00::1]", NET_PRIVATE},
    {"[fdff::1]", NET_PRIVATE},
    {"[fe80::1]", NET_LINK_LOCAL},
    {"[febf::1]", NET_LINK_LOCAL},
    {"[fec0::1]", NET_PRIVATE},
    {"[ff02::1]", NET_MULTICAST},
    {"[64:ff9b:1::1]", NET_PRIVATE},
    /* addresses within addresses */
    {"[::ffff:127.0.0.1]", NET_LOOPBACK},
    {"[::ffff:8.8.8.8]", NET_PUBLIC},
    {"[::ffff:0:127.0.0.1]", NET_LOOPBACK},
    {"[::127.0.0.1]", NET_LOOPBACK},
    {"[::10.0.0.1]", NET_PRIVATE},
    {"[64:ff9b::7f00:1]", NET_LOOPBACK},
    {"[64:ff9b::808:808]", NET_PUBLIC},
    {"[2002:7f00:1::1]", NET_LOOPBACK},
    {"[2002:a9fe:a9fe::]", NET_LINK_LOCAL},
    {"[2002:808:808::1]", NET_PUBLIC},
    {"[2001:0:808:808:0:0:80ff:fffe]", NET_LOOPBACK},
    {"[2001:0:808:808:0:0:f7f7:f7f7]", NET_PUBLIC},
};

static void test_classes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof class_rows / sizeof *class_rows; i++) {
        struct net_address a;
        char text[80];
        snprintf(text, sizeof text, "%s:25", class_rows[i].address);
        assert_int_equal(net_parse(str_c(text), &a, NULL), 0);
        if (net_classify(&a) != class_rows[i].class)
            fail_msg("%s is %s", class_rows[i].address, net_class_name(net_classify(&a)));
    }
}

static void test_octets(void **state)
{
    static const char *const rows[] = {"192.0.2.1:25", "[2001:db8::1]:465", "[::1]:1"};
    struct net_address a, again;
    uint8_t octets[16];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(net_parse(str_c(rows[i]), &a, NULL), 0);
        assert_true(net_octets(&a, octets));
        net_from_octets(octets, net_port(&a), &again);
        assert_memory_equal(&a, &again, sizeof a);
    }
    assert_int_equal(net_parse(STR("unix:/s"), &a, NULL), 0);
    assert_int_equal(net_classify(&a), NET_LOOPBACK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
