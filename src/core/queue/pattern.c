#include "core/queue/pattern.h"

const char *pattern_problem(struct str pattern)
{
    if (pattern.n == 0)
        return "is empty";
    if (pattern.n > PATTERN_MAX)
        return "is too long";
    for (size_t i = 0; i < pattern.n; i++)
        if (ascii_control(pattern.p[i]))
            return "holds a control character";
    return NULL;
}

/* Where the rest does not fit, the last star takes one octet more. */
bool pattern_fits(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = 0, resume = 0;
    bool starred = false;

    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            starred = true;
            star = ++p;
            resume = t;
        } else if (p < pattern.n && ascii_lower(pattern.p[p]) == ascii_lower(text.p[t])) {
            p++;
            t++;
        } else if (starred) {
            p = star;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

bool pattern_fits_address(struct str pattern, struct str address)
{
    ptrdiff_t at = str_find_last(address, '@');
    struct str domain = at < 0 ? address : str_from(address, (size_t)at + 1);

    if (str_eq(pattern, STR("<>")))
        return address.n == 0;
    if (address.n == 0)
        return str_eq(pattern, STR("*"));
    if (str_starts(pattern, STR("@")))
        return pattern_fits(str_from(pattern, 1), domain);
    return pattern_fits(pattern, str_find(pattern, '@') < 0 ? domain : address);
}
