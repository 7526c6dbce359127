#include "io/net.h"

#include <arpa/inet.h>

#include "base/buf.h"

static int bad(struct err *e, struct str text, const char *why)
{
    return err_set(e, ERR_PERMANENT, "net", "\"%.*s\": %s", STR_ARG(text), why);
}

static int parse_unix(struct str text, struct str path, struct net_address *a, struct err *e)
{
    struct net_address made = {.un.sun_family = AF_UNIX};

    if (path.n == 0 || path.p[0] != '/')
        return bad(e, text, "the path of a unix socket begins with /");
    if (!str_copy_c(made.un.sun_path, sizeof made.un.sun_path, path))
        return bad(e, text, "the path of a unix socket has at most 107 octets and no NUL");
    made.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    *a = made;
    return 0;
}

/* A numeric address, in the family that its form tells. */
static bool parse_ip(struct str text, struct net_address *a)
{
    char host[INET6_ADDRSTRLEN];

    *a = (struct net_address){0};
    if (!str_copy_c(host, sizeof host, text))
        return false;
    if (inet_pton(AF_INET, host, &a->in.sin_addr) == 1) {
        a->in.sin_family = AF_INET;
        a->len = sizeof a->in;
        return true;
    }
    if (inet_pton(AF_INET6, host, &a->in6.sin6_addr) == 1) {
        a->in6.sin6_family = AF_INET6;
        a->len = sizeof a->in6;
        return true;
    }
    return false;
}

int net_parse(struct str text, struct net_address *a, struct err *e)
{
    ptrdiff_t colon = str_find_last(text, ':');
    struct net_address made;
    struct str host;
    uint64_t port;
    bool bracketed;

    if (str_starts(text, STR("unix:")))
        return parse_unix(text, str_from(text, 5), a, e);
    if (colon < 0)
        return bad(e, text, "no port: HOST:PORT, [V6]:PORT or unix:/PATH");
    host = str_head(text, (size_t)colon);
    bracketed = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    if (bracketed)
        host = str_sub(host, 1, host.n - 2);
    if (!str_to_u64(str_from(text, (size_t)colon + 1), 65535, &port))
        return bad(e, text, "the port is not a number from 0 to 65535");
    if (!parse_ip(host, &made))
        return bad(e, text, "the host is not a numeric address");
    if (bracketed != (made.any.sa_family == AF_INET6))
        return bad(e, text, "an IPv6 address, and no other, stands in brackets");
    if (bracketed)
        made.in6.sin6_port = htons((uint16_t)port);
    else
        made.in.sin_port = htons((uint16_t)port);
    *a = made;
    return 0;
}

/* The address as text[INET6_ADDRSTRLEN], a mapped one as v4 if so asked. */
static const char *ip_text(const struct net_address *a, bool unmap, char *text)
{
    const struct in6_addr *v6 = &a->in6.sin6_addr;

    if (a->any.sa_family == AF_INET)
        return inet_ntop(AF_INET, &a->in.sin_addr, text, INET6_ADDRSTRLEN);
    if (unmap && IN6_IS_ADDR_V4MAPPED(v6))
        return inet_ntop(AF_INET, v6->s6_addr + 12, text, INET6_ADDRSTRLEN);
    return inet_ntop(AF_INET6, v6, text, INET6_ADDRSTRLEN);
}

/* A peer that has not bound its socket has no path. */
static struct str unix_path(const struct net_address *a)
{
    size_t n = a->len > offsetof(struct sockaddr_un, sun_path)
                   ? a->len - offsetof(struct sockaddr_un, sun_path)
                   : 0;

    return str_of(a->un.sun_path, strnlen(a->un.sun_path, n));
}

void net_format(const struct net_address *a, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];

    if (a->any.sa_family == AF_UNIX) {
        buf_put(out, STR("unix:"));
        buf_put(out, unix_path(a));
        return;
    }
    ip_text(a, false, text);
    if (a->any.sa_family == AF_INET6)
        buf_printf(out, "[%s]:%u", text, net_port(a));
    else
        buf_printf(out, "%s:%u", text, net_port(a));
}

void net_format_ip(const struct net_address *a, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];

    buf_put(out, a->any.sa_family == AF_UNIX ? STR("local") : str_c(ip_text(a, true, text)));
}

uint16_t net_port(const struct net_address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohs(a->in.sin_port);
    return a->any.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool net_octets(const struct net_address *a, uint8_t octets[16])
{
    if (a->any.sa_family == AF_INET6) {
        memcpy(octets, a->in6.sin6_addr.s6_addr, 16);
        return true;
    }
    if (a->any.sa_family != AF_INET)
        return false;
    memcpy(octets, mapped, sizeof mapped);
    memcpy(octets + sizeof mapped, &a->in.sin_addr, 4);
    return true;
}

void net_from_octets(const uint8_t octets[16], uint16_t port, struct net_address *a)
{
    *a = (struct net_address){0};
    if (memcmp(octets, mapped, sizeof mapped) == 0) {
        a->in.sin_family = AF_INET;
        a->in.sin_port = htons(port);
        memcpy(&a->in.sin_addr, octets + sizeof mapped, 4);
        a->len = sizeof a->in;
        return;
    }
    a->in6.sin6_family = AF_INET6;
    a->in6.sin6_port = htons(port);
    memcpy(a->in6.sin6_addr.s6_addr, octets, 16);
    a->len = sizeof a->in6;
}

/* Do x and y agree in their first `bits` bits? */
static bool same_prefix(const uint8_t *x, const uint8_t *y, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(x, y, whole) != 0)
        return false;
    return rest == 0 || ((x[whole] ^ y[whole]) >> (8 - rest)) == 0;
}

static bool zero_behind(const uint8_t *octets, unsigned bits)
{
    for (; bits < 128; bits++)
        if (octets[bits / 8] & (0x80 >> bits % 8))
            return false;
    return true;
}

int net_block_parse(struct str text, struct net_block *b, struct err *e)
{
    struct str rest = text, host;
    bool has_bits = str_cut(&rest, '/', &host);
    struct net_block made = {0};
    struct net_address a;
    uint64_t most, bits;

    if (!parse_ip(host, &a))
        return bad(e, text, "not a network: ADDRESS or ADDRESS/BITS");
    most = bits = a.any.sa_family == AF_INET ? 32 : 128;
    if (has_bits && !str_to_u64(rest, most, &bits))
        return bad(e, text, most == 32 ? "bits are 0 to 32" : "bits are 0 to 128");
    net_octets(&a, made.octets);
    made.bits = (uint8_t)(128 - most + bits);
    if (!zero_behind(made.octets, made.bits))
        return bad(e, text, "address bits behind the prefix are not 0");
    *b = made;
    return 0;
}

bool net_block_contains(const struct net_block *b, const struct net_address *a)
{
    uint8_t octets[16];

    if (!net_octets(a, octets))
        return false;
    if (memcmp(octets, mapped, sizeof mapped) == 0 && b->bits < 8 * sizeof mapped)
        return false;
    return same_prefix(octets, b->octets, b->bits);
}
