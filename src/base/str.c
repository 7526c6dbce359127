#include "base/str.h"

bool str_eq_ascii(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;

    if (order)
        return order;
    return (a.n > b.n) - (a.n < b.n);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_head(s, prefix.n), prefix);
}

bool str_starts_ascii(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq_ascii(str_head(s, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq(str_from(s, s.n - suffix.n), suffix);
}

bool str_ends_ascii(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq_ascii(str_from(s, s.n - suffix.n), suffix);
}

ptrdiff_t str_find(struct str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

    return at ? at - s.p : -1;
}

ptrdiff_t str_find_last(struct str s, char c)
{
    const char *at = s.n ? memrchr(s.p, c, s.n) : NULL;

    return at ? at - s.p : -1;
}

ptrdiff_t str_find_str(struct str s, struct str needle)
{
    const char *at;

    if (needle.n == 0)
        return 0;
    at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? at - s.p : -1;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim_left(struct str s)
{
    size_t i = 0;

    while (i < s.n && blank(s.p[i]))
        i++;
    return str_from(s, i);
}

struct str str_trim(struct str s)
{
    s = str_trim_left(s);
    while (s.n && blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_cut(struct str *s, char c, struct str *head)
{
    ptrdiff_t at = str_find(*s, c);

    if (at < 0) {
        *head = *s;
        *s = str_from(*s, s->n);
        return false;
    }
    *head = str_head(*s, (size_t)at);
    *s = str_from(*s, (size_t)at + 1);
    return true;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_digit(s.p[i]))
            return false;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    if (v > max)
        return false;
    *value = v;
    return true;
}

static int hex_digit(char c)
{
    if (ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}

bool str_to_hex64(struct str s, uint64_t max, uint64_t *value)
{
    uint64_t v = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        int digit = hex_digit(s.p[i]);
        if (digit < 0 || v >> 60)
            return false;
        v = v << 4 | (uint64_t)digit;
    }
    if (v > max)
        return false;
    *value = v;
    return true;
}

bool str_copy_c(char *dst, size_t size, struct str s)
{
    size_t n = s.n < size ? s.n : size - 1;

    if (n)
        memcpy(dst, s.p, n);
    dst[n] = '\0';
    return n == s.n && memchr(dst, '\0', n) == NULL;
}
