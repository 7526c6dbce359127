#include "mail/chars.h"

#define IN(c, low, high) ((c) >= (low) && (c) <= (high))
#define LETDIG(c)        (IN(c, 'a', 'z') || IN(c, 'A', 'Z') || IN(c, '0', '9'))
#define ATEXT(c)                                                                                   \
    (LETDIG(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' ||      \
        (c) == '/' || (c) == '=' || (c) == '?' || (c) == '^' || (c) == '_' || (c) == '`' ||        \
        IN(c, '{', '~'))
#define QTEXT(c)    (IN(c, 32, 126) && (c) != '"' && (c) != '\\')
#define FTEXT(c)    (IN(c, 33, 126) && (c) != ':')
#define DCONTENT(c) (IN(c, 33, 90) || IN(c, 94, 126))
#define WSP(c)      ((c) == ' ' || (c) == '\t' || (c) == '\r' || (c) == '\n')
/* RFC 2045 5.1 tspecials: ()<>@,;:\"/[]?= */
#define TOKEN(c)                                                                                   \
    (IN(c, 33, 126) && (c) != '"' && !IN(c, '(', ')') && (c) != ',' && (c) != '/' &&               \
        !IN(c, ':', '@') && !IN(c, '[', ']'))

#define CLASSES(c)                                                                                 \
    ((ATEXT(c) ? CHAR_ATEXT : 0) | (QTEXT(c) ? CHAR_QTEXT : 0) | (LETDIG(c) ? CHAR_LETDIG : 0) |   \
        (FTEXT(c) ? CHAR_FTEXT : 0) | (TOKEN(c) ? CHAR_TOKEN : 0) |                                \
        (DCONTENT(c) ? CHAR_DCONTENT : 0) | (WSP(c) ? CHAR_WSP : 0) | ((c) > 127 ? CHAR_UTF8 : 0))
#define ROW4(c)  CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define ROW16(c) ROW4(c), ROW4((c) + 4), ROW4((c) + 8), ROW4((c) + 12)
#define ROW64(c) ROW16(c), ROW16((c) + 16), ROW16((c) + 32), ROW16((c) + 48)

const uint8_t mail_classes[256] = {ROW64(0), ROW64(64), ROW64(128), ROW64(192)};

/* Table 3-7 of the Unicode standard: what may follow the first octet. */
static size_t sequence_length(unsigned char c, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (IN(c, 0xc2, 0xdf))
        return 2;
    if (IN(c, 0xe0, 0xef)) {
        if (c == 0xe0)
            *low = 0xa0;
        if (c == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (IN(c, 0xf0, 0xf4)) {
        if (c == 0xf0)
            *low = 0x90;
        if (c == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

size_t utf8_decode(struct str s, uint32_t *code)
{
    if (s.n == 0)
        return 0;
    unsigned char c = (unsigned char)s.p[0], low, high;
    if (c < 0x80) {
        *code = c;
        return 1;
    }
    size_t n = sequence_length(c, &low, &high);
    if (n == 0 || n > s.n)
        return 0;
    uint32_t value = c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)s.p[i];
        if (next < low || next > high)
            return 0;
        value = value << 6 | (next & 0x3fu);
        low = 0x80;
        high = 0xbf;
    }
    *code = value;
    return n;
}

size_t utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)((0xf00u >> n & 0xf0u) | code);
    return n;
}

bool str_has_8bit(struct str s)
{
    size_t i = 0;
    for (; i + 8 <= s.n; i += 8) {
        uint64_t eight;
        memcpy(&eight, s.p + i, 8);
        if (eight & UINT64_C(0x8080808080808080))
            return true;
    }
    for (; i < s.n; i++)
        if (s.p[i] & 0x80)
            return true;
    return false;
}

bool utf8_valid(struct str s)
{
    if (!str_has_8bit(s))
        return true;
    uint32_t code;
    while (s.n > 0) {
        size_t n = utf8_decode(s, &code);
        if (n == 0)
            return false;
        s = str_from(s, n);
    }
    return true;
}

struct str utf8_head(struct str s, size_t n)
{
    if (s.n <= n)
        return s;
    size_t cut = n;
    while (cut > 0 && n - cut < 3 && ((unsigned char)s.p[cut] & 0xc0) == 0x80)
        cut--;
    return str_head(s, ((unsigned char)s.p[cut] & 0xc0) == 0x80 ? n : cut);
}
