#include "base/utf8.h"

static bool continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Octets of the sequence that this one begins; 0 where it begins none. RFC 3629 4 */
static size_t sequence_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

uint32_t utf8_next(struct str *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned char lead = (unsigned char)s->p[0];
    size_t n = sequence_length(lead);
    uint32_t point = lead & lead_bits[n];
    bool good = n && n <= s->n;

    for (size_t i = 1; good && i < n; i++) {
        good = continuation(s->p[i]);
        point = point << 6 | ((unsigned char)s->p[i] & 0x3F);
    }
    if (!good || point < least[n] || point > 0x10FFFF || (point >= 0xD800 && point <= 0xDFFF)) {
        *s = str_from(*s, 1);
        return UTF8_INVALID;
    }
    *s = str_from(*s, n);
    return point;
}

/* Length of the ASCII at the front, counted in steps of eight. */
static size_t ascii_run(struct str s)
{
    size_t i = 0;

    for (; s.n - i >= 8; i += 8) {
        uint64_t v;
        memcpy(&v, s.p + i, sizeof v);
        if (v & 0x8080808080808080u)
            break;
    }
    while (i < s.n && (unsigned char)s.p[i] < 0x80)
        i++;
    return i;
}

bool ascii_only(struct str s)
{
    return ascii_run(s) == s.n;
}

bool utf8_valid(struct str s)
{
    for (;;) {
        s = str_from(s, ascii_run(s));
        if (str_empty(s))
            return true;
        if (utf8_next(&s) == UTF8_INVALID)
            return false;
    }
}

struct str utf8_head(struct str s, size_t n)
{
    size_t cut = n;

    if (n >= s.n)
        return s;
    /* A sequence has at most three continuation octets: more of them are not UTF-8, and are cut
     * anywhere. */
    while (cut > 0 && n - cut < 3 && continuation(s.p[cut]))
        cut--;
    return str_head(s, continuation(s.p[cut]) ? n : cut);
}

size_t utf8_encode(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        if (point >= 0xD800 && point <= 0xDFFF)
            return 0;
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    if (point > 0x10FFFF)
        return 0;
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}
