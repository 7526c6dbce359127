/* base/utf8.h: UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#pragma once

#include "base/str.h"

#define UTF8_INVALID UINT32_MAX

/* Takes one code point off the front of *s, which must not be empty. Where there is none,
 * UTF8_INVALID, and one octet is taken. */
uint32_t utf8_next(struct str *s);

bool utf8_valid(struct str s);
bool ascii_only(struct str s);

/* The front of s, at most n octets, without cutting a code point in two. */
struct str utf8_head(struct str s, size_t n);

/* Writes a code point; returns the number of octets, 0 for what is none. */
size_t utf8_encode(uint32_t point, char out[4]);
