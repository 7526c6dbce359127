#include "base/check.h"

#include "io/net.h"

/* The first `bits` bits of an address; octets that are not named are 0. */
struct row {
    uint8_t octets[16];
    uint8_t bits;
    enum net_class class;
};

/* RFC 6890 and the IANA registry of special-purpose IPv4 addresses. */
static const struct row v4_rows[] = {
    {{0}, 8, NET_UNSPECIFIED},
    {{10}, 8, NET_PRIVATE},
    {{100, 64}, 10, NET_PRIVATE}, /* RFC 6598 */
    {{127}, 8, NET_LOOPBACK},
    {{169, 254}, 16, NET_LINK_LOCAL},
    {{172, 16}, 12, NET_PRIVATE},
    {{192, 0, 0}, 24, NET_RESERVED},
    {{192, 0, 2}, 24, NET_RESERVED},
    {{192, 88, 99}, 24, NET_RESERVED}, /* RFC 7526 */
    {{192, 168}, 16, NET_PRIVATE},
    {{198, 18}, 15, NET_RESERVED},
    {{198, 51, 100}, 24, NET_RESERVED},
    {{203, 0, 113}, 24, NET_RESERVED},
    {{224}, 4, NET_MULTICAST},
    {{240}, 4, NET_RESERVED},
};

/* The same for IPv6; the first that fits. What is not of 2000::/3 was given to nobody. */
static const struct row v6_rows[] = {
    {{[15] = 1}, 128, NET_LOOPBACK},
    {{0}, 128, NET_UNSPECIFIED},
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, NET_PRIVATE}, /* RFC 8215 */
    {{0xfe, 0x80}, 10, NET_LINK_LOCAL},
    {{0xfe, 0xc0}, 10, NET_PRIVATE}, /* RFC 3879 */
    {{0xfc}, 7, NET_PRIVATE},
    {{0xff}, 8, NET_MULTICAST},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, NET_RESERVED},
    {{0x20, 0x01, 0x00, 0x00}, 23, NET_RESERVED}, /* RFC 2928: protocols, Teredo is read before */
    {{0x3f, 0xff}, 20, NET_RESERVED},             /* RFC 9637 */
    {{0x20}, 3, NET_PUBLIC},
    {{0}, 0, NET_RESERVED},
};

/* Prefixes behind which an IPv4 address stands, and where. */
static const struct wrapped {
    uint8_t octets[12];
    uint8_t bits, at;
    bool inverted;
} wrapped_rows[] = {
    {{[10] = 0xff, 0xff}, 96, 12, false},            /* RFC 4291 2.5.5.2, mapped */
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12, false},       /* RFC 6052 2.1, NAT64 */
    {{0x20, 0x02}, 16, 2, false},                    /* RFC 3056 2, 6to4 */
    {{0x20, 0x01, 0x00, 0x00}, 32, 12, true},        /* RFC 4380 4, Teredo */
    {{[8] = 0xff, 0xff, 0x00, 0x00}, 96, 12, false}, /* RFC 2765 2.1, translated */
    {{0}, 96, 12, false},                            /* RFC 4291 2.5.5.1, compatible */
};

static bool begins(const uint8_t *octets, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(octets, prefix, whole) == 0 &&
           (rest == 0 || (octets[whole] ^ prefix[whole]) >> (8 - rest) == 0);
}

static enum net_class classify_v4(const uint8_t octets[4])
{
    for (size_t i = 0; i < sizeof v4_rows / sizeof *v4_rows; i++)
        if (begins(octets, v4_rows[i].octets, v4_rows[i].bits))
            return v4_rows[i].class;
    return NET_PUBLIC;
}

static enum net_class classify_v6(const uint8_t octets[16])
{
    static const uint8_t zero[16];
    uint8_t v4[4];

    for (size_t i = 0; i < sizeof wrapped_rows / sizeof *wrapped_rows; i++) {
        const struct wrapped *w = &wrapped_rows[i];
        /* :: and ::1 are no compatible addresses */
        if (!begins(octets, w->octets, w->bits) || memcmp(octets, zero, 15) == 0)
            continue;
        for (size_t k = 0; k < 4; k++)
            v4[k] = w->inverted ? (uint8_t)~octets[w->at + k] : octets[w->at + k];
        return classify_v4(v4);
    }
    for (size_t i = 0; i < sizeof v6_rows / sizeof *v6_rows; i++)
        if (begins(octets, v6_rows[i].octets, v6_rows[i].bits))
            return v6_rows[i].class;
    UNREACHABLE();
}

enum net_class net_classify(const struct net_address *a)
{
    uint8_t octets[16];

    return net_octets(a, octets) ? classify_v6(octets) : NET_LOOPBACK;
}

const char *net_class_name(enum net_class class)
{
    static const char *const names[] = {
        [NET_PUBLIC] = "a public address",
        [NET_LOOPBACK] = "a loopback address",
        [NET_UNSPECIFIED] = "an unspecified address",
        [NET_LINK_LOCAL] = "a link-local address",
        [NET_PRIVATE] = "a private address",
        [NET_MULTICAST] = "a multicast address",
        [NET_RESERVED] = "a reserved address",
    };

    return names[class];
}
