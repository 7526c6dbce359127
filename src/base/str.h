/* base/str.h: string slices.
 *
 * A slice is a pointer and a length, passed by value, never assumed to be terminated, and never the
 * owner of what it points to. Everything here is octets; "ascii" functions fold A-Z only and leave
 * octets above 127 alone. A function that parses takes a slice and returns the rest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal)                                                                          \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    } /* for const tables */
#define STR_NONE ((struct str){NULL, 0})

/* For printf: printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *p, size_t n)
{
    return (struct str){p, n};
}

/* The slice of a terminated string; NULL gives the empty slice. */
static inline struct str str_c(const char *s)
{
    return (struct str){s, s ? strlen(s) : 0};
}

static inline bool str_empty(struct str s)
{
    return s.n == 0;
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_eq_ascii(struct str a, struct str b); /* ASCII case folded */
int str_cmp(struct str a, struct str b);       /* by octet, then by length */
bool str_starts(struct str s, struct str prefix);
bool str_starts_ascii(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_ends_ascii(struct str s, struct str suffix);

/* Position of the first (last) c, or of the first needle; -1 where there is none. */
ptrdiff_t str_find(struct str s, char c);
ptrdiff_t str_find_last(struct str s, char c);
ptrdiff_t str_find_str(struct str s, struct str needle);

/* Parts of s; positions beyond the end are clipped. */
static inline struct str str_from(struct str s, size_t start)
{
    if (start >= s.n)
        return str_of(s.p ? s.p + s.n : NULL, 0);
    return str_of(s.p + start, s.n - start);
}

static inline struct str str_head(struct str s, size_t n)
{
    return str_of(s.p, n < s.n ? n : s.n);
}

static inline struct str str_sub(struct str s, size_t start, size_t n)
{
    return str_head(str_from(s, start), n);
}

struct str str_trim(struct str s);      /* without leading and trailing SP, HT, CR, LF */
struct str str_trim_left(struct str s); /* without leading ones */

/* Cut s at the first c: head gets what stands before it, s becomes what stands after it. False (and
 * head = all of s, s empty) where there is no c. */
bool str_cut(struct str *s, char c, struct str *head);

/* The whole slice as a decimal number of at most max. False where it is empty, has anything but
 * digits, or is larger: there is no wrap-around, no sign, no white space. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *value);

/* The whole slice as a hexadecimal number of at most max, either case. */
bool str_to_hex64(struct str s, uint64_t max, uint64_t *value);

/* Copies s and a terminator into dst[size], cut where it is too long; returns false if it was cut
 * or holds a NUL. For the borders to libraries. */
bool str_copy_c(char *dst, size_t size, struct str s);

static inline char ascii_lower(char c)
{
    return (c >= 'A' && c <= 'Z') ? (char)(c + ('a' - 'A')) : c;
}

static inline char ascii_upper(char c)
{
    return (c >= 'a' && c <= 'z') ? (char)(c - ('a' - 'A')) : c;
}

static inline bool ascii_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_alnum(char c)
{
    return ascii_digit(c) || ascii_alpha(c);
}

static inline bool ascii_control(char c)
{
    return (unsigned char)c < 32 || c == 127;
}
