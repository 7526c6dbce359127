#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct str s, struct buf *out)
{
    char *to;

    if (s.n > SIZE_MAX / 4 * 3 - 2 || !(to = buf_reserve(out, base64_encoded_size(s.n))))
        return -1;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        if (left > 1)
            v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
        if (left > 2)
            v |= (unsigned char)s.p[i + 2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = left > 1 ? alphabet[v >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[v & 63] : '=';
    }
    buf_advance(out, base64_encoded_size(s.n));
    return 0;
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* One group of four, of which the last `padding` are '='. */
static bool decode_group(const char *p, size_t padding, uint32_t *value)
{
    uint32_t v = 0;

    for (size_t i = 0; i < 4; i++) {
        int d = i < 4 - padding ? digit(p[i]) : 0;
        if (d < 0)
            return false;
        v = v << 6 | (uint32_t)d;
    }
    *value = v;
    return true;
}

bool base64_decode(struct str s, char *out, size_t size, size_t *n)
{
    size_t padding = 0, length;

    if (s.n % 4)
        return false;
    while (padding < 2 && padding < s.n && s.p[s.n - 1 - padding] == '=')
        padding++;
    length = base64_decoded_max(s.n) - padding;
    if (length > size)
        return false;
    for (size_t i = 0, at = 0; i < s.n; i += 4) {
        size_t group_padding = i + 4 == s.n ? padding : 0;
        uint32_t v;
        if (!decode_group(s.p + i, group_padding, &v))
            return false;
        if (v & ((1u << (8 * group_padding)) - 1))
            return false; /* RFC 4648 3.5 */
        for (size_t octet = 0; octet < 3 - group_padding; octet++)
            out[at++] = (char)(v >> (16 - 8 * octet));
    }
    *n = length;
    return true;
}
