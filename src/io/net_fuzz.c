#include "io/net.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What is taken is printed in a form that is taken again and prints the same; a network contains
 * the address it is named by. */
static void check_address(struct str in)
{
    struct net_address a, again;
    struct buf text, second;

    buf_init(&text, 256);
    buf_init(&second, 256);
    if (net_parse(in, &a, NULL) == 0) {
        net_format(&a, &text);
        CHECK(net_parse(buf_str(&text), &again, NULL) == 0);
        net_format(&again, &second);
        CHECK(str_eq(buf_str(&text), buf_str(&second)));
        CHECK(net_port(&a) == net_port(&again) && a.len == again.len);
        net_format_ip(&a, &second);
        CHECK(buf_ok(&second));
    }
    buf_done(&text);
    buf_done(&second);
}

static void check_block(struct str in)
{
    struct net_address a = {.len = sizeof a.in6};
    struct net_block b;

    if (net_block_parse(in, &b, NULL) < 0)
        return;
    CHECK(b.bits <= 128);
    a.in6.sin6_family = AF_INET6;
    memcpy(a.in6.sin6_addr.s6_addr, b.octets, 16);
    CHECK(net_block_contains(&b, &a) || b.bits < 96);
    if (b.bits) {
        a.in6.sin6_addr.s6_addr[(b.bits - 1) / 8] ^= (uint8_t)(0x80 >> (b.bits - 1) % 8);
        CHECK(!net_block_contains(&b, &a));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str in = str_of((const char *)data, n);

    check_address(in);
    check_block(in);
    return 0;
}
