#include "base/escape.h"

#include "base/check.h"
#include "base/utf8.h"

/* No octet or code point becomes longer than this: four octets as \xHH. */
enum {
    STEP_MAX = 16
};

static const char hex[] = "0123456789abcdef";

static bool misleads(uint32_t point)
{
    return (point >= 0x80 && point < 0xA0) || point == 0x061C || point == 0x200E ||
           point == 0x200F || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2066 && point <= 0x2069) || point == 0xFEFF;
}

/* The letter behind the backslash, or 0. */
static char short_form(char c, enum escape_form form)
{
    if (form == ESCAPE_TERMINAL && (c == '\\' || c == '"'))
        return 0;
    switch (c) {
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\\':
    case '"':
        return c;
    default:
        return 0;
    }
}

static size_t put_octets(char *out, struct str octets)
{
    size_t n = 0;

    for (size_t i = 0; i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = hex[c >> 4];
        out[n++] = hex[c & 15];
    }
    return n;
}

/* Only for the basic plane, where all that has to be escaped lies. */
static size_t put_json_point(char *out, uint32_t point)
{
    out[0] = '\\';
    out[1] = 'u';
    for (int i = 0; i < 4; i++)
        out[2 + i] = hex[point >> (12 - 4 * i) & 15];
    return 6;
}

/* Takes one code point or stray octet off *s and writes it; returns the octets written. */
static size_t escape_step(struct str *s, enum escape_form form, char out[STEP_MAX])
{
    struct str before = *s;
    uint32_t point = utf8_next(s);
    struct str taken = str_head(before, before.n - s->n);
    char letter = point < 0x80 ? short_form((char)point, form) : 0;

    if (letter) {
        out[0] = '\\';
        out[1] = letter;
        return 2;
    }
    if (point == UTF8_INVALID)
        return form == ESCAPE_JSON ? put_json_point(out, 0xFFFD) : put_octets(out, taken);
    if (point < 0x20 || point == 0x7F || misleads(point))
        return form == ESCAPE_JSON ? put_json_point(out, point) : put_octets(out, taken);
    if (point > 0x7F && form == ESCAPE_ASCII)
        return put_octets(out, taken);
    memcpy(out, taken.p, taken.n);
    return taken.n;
}

/* Printable ASCII at the front that every form leaves alone. */
static size_t plain_run(struct str s)
{
    size_t i = 0;

    while (i < s.n && s.p[i] >= 0x20 && s.p[i] < 0x7F && s.p[i] != '\\' && s.p[i] != '"')
        i++;
    return i;
}

bool escape_needed(struct str s, enum escape_form form)
{
    char out[STEP_MAX];

    for (;;) {
        s = str_from(s, plain_run(s));
        if (str_empty(s))
            return false;
        if (escape_step(&s, form, out) > 1 && out[0] == '\\')
            return true;
    }
}

int escape_put(struct buf *out, struct str s, enum escape_form form)
{
    char step[STEP_MAX];

    while (!str_empty(s)) {
        size_t run = plain_run(s);
        if (buf_put(out, str_head(s, run)) < 0)
            return -1;
        s = str_from(s, run);
        if (!str_empty(s)) {
            size_t n = escape_step(&s, form, step);
            if (buf_put(out, str_of(step, n)) < 0)
                return -1;
        }
    }
    return 0;
}

struct str escape_copy(char *dst, size_t size, struct str s, enum escape_form form)
{
    char step[STEP_MAX];
    size_t at = 0;

    CHECK(size > 0);
    while (!str_empty(s)) {
        size_t n = escape_step(&s, form, step);
        if (n >= size - at)
            break;
        memcpy(dst + at, step, n);
        at += n;
    }
    dst[at] = '\0';
    return str_of(dst, at);
}
