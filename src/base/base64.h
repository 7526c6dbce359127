/* base/base64.h: Base 64 for protocols (RFC 4648 4), where there is one spelling of each value.
 *
 * Decoding is strict: the standard alphabet, padding where it belongs, unused bits zero, nothing
 * else (RFC 4648 3.3, 3.5). The lenient decoder for message bodies is mail's own.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

static inline size_t base64_encoded_size(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Octets that n characters may decode to, at most. */
static inline size_t base64_decoded_max(size_t n)
{
    return n / 4 * 3;
}

/* -1 where out has no room. */
int base64_encode(struct str s, struct buf *out);

/* Decodes into out[size]; *n is written only on success. False where s is not Base 64 or its value
 * does not fit. out may be where s is. */
bool base64_decode(struct str s, char *out, size_t size, size_t *n);
