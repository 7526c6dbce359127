#include "mail/address_int.h"
#include "mail/chars.h"

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* RFC 5321 4.1.3 IPv4-address-literal: Snum 3("." Snum) */
static int parse_v4(struct str s, uint8_t address[4])
{
    for (int i = 0; i < 4; i++) {
        struct str part;
        uint64_t value;
        bool dot = str_cut(&s, '.', &part);
        if (dot != (i < 3) || part.n > 3 || !str_to_u64(part, 255, &value))
            return -1;
        address[i] = (uint8_t)value;
    }
    return 0;
}

/* Groups of one side of "::" (or of the whole); a dotted IPv4 address may be the last of all. */
static int parse_groups(struct str s, bool v4_allowed, uint8_t *out, size_t *groups)
{
    size_t n = 0;
    while (s.n > 0) {
        struct str part;
        uint64_t value;
        bool more = str_cut(&s, ':', &part);
        if (more && s.n == 0)
            return -1;
        if (!more && v4_allowed && str_find(part, '.') >= 0) {
            if (n > 6 || parse_v4(part, out + 2 * n) < 0)
                return -1;
            n += 2;
            break;
        }
        if (n == 8 || part.n > 4 || !str_to_hex64(part, 0xffff, &value))
            return -1;
        out[2 * n] = (uint8_t)(value >> 8);
        out[2 * n + 1] = (uint8_t)value;
        n++;
    }
    *groups = n;
    return 0;
}

/* RFC 4291 2.2. RFC 5321 4.1.3 wants "::" to stand for two groups at least; one is taken too, since
 * every other grammar of IPv6 addresses allows it. */
static int parse_v6(struct str s, uint8_t address[16])
{
    ptrdiff_t gap = str_find_str(s, STR("::"));
    uint8_t head[16] = {0}, tail[16] = {0};
    size_t heads, tails = 0;
    if (gap < 0) {
        if (parse_groups(s, true, head, &heads) < 0 || heads != 8)
            return -1;
        memcpy(address, head, 16);
        return 0;
    }
    if (parse_groups(str_head(s, (size_t)gap), false, head, &heads) < 0 ||
        parse_groups(str_from(s, (size_t)gap + 2), true, tail, &tails) < 0 || heads + tails > 7)
        return -1;
    memset(address, 0, 16);
    memcpy(address, head, 2 * heads);
    memcpy(address + 16 - 2 * tails, tail, 2 * tails);
    return 0;
}

int literal_parse(struct str literal, enum domain_kind *kind, uint8_t address[16])
{
    if (literal.n < 2 || literal.p[0] != '[' || literal.p[literal.n - 1] != ']')
        return -1;
    struct str inner = str_sub(literal, 1, literal.n - 2);
    uint8_t got[16];
    if (str_starts_ascii(inner, STR("IPv6:"))) {
        if (parse_v6(str_from(inner, 5), got) < 0)
            return -1;
        *kind = DOMAIN_IPV6;
    } else {
        memcpy(got, v4_mapped, 12);
        if (parse_v4(inner, got + 12) < 0)
            return -1;
        *kind = DOMAIN_IPV4;
    }
    memcpy(address, got, 16);
    return 0;
}

/* RFC 5952 4.2.3: the longest run of at least two zero groups, the first of equals */
static void longest_gap(const uint8_t address[16], int *start, int *length)
{
    *start = -1;
    *length = 1;
    for (int i = 0; i < 8;) {
        int n = 0;
        while (i + n < 8 && address[2 * (i + n)] == 0 && address[2 * (i + n) + 1] == 0)
            n++;
        if (n > *length) {
            *start = i;
            *length = n;
        }
        i += n > 0 ? n : 1;
    }
}

int literal_print(const uint8_t address[16], enum domain_kind kind, struct buf *out)
{
    if (kind == DOMAIN_IPV4)
        return buf_printf(out, "[%u.%u.%u.%u]", address[12], address[13], address[14], address[15]);
    int gap, length;
    longest_gap(address, &gap, &length);
    buf_put(out, STR("[IPv6:"));
    for (int i = 0; i < 8; i++) {
        if (i == gap) {
            buf_put(out, STR("::"));
            i += length - 1;
            continue;
        }
        bool first = i == 0 || (gap >= 0 && i == gap + length);
        buf_printf(out, "%s%x", first ? "" : ":", address[2 * i] << 8 | address[2 * i + 1]);
    }
    return buf_put_c(out, ']');
}

bool domain_address(struct str domain, uint8_t address[16])
{
    enum domain_kind kind;
    return literal_parse(domain, &kind, address) == 0;
}
