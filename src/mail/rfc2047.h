/* mail/rfc2047.h: encoded words in header fields, both ways.
 *
 * Decoding takes an unstructured value, or a display name that the address parser has already cut
 * out: encoded words are never decoded before addresses are parsed (hostile.md 89). Adjacent words
 * join (6.2), also where a character is torn between two of them. Beyond the RFC, because mailers
 * do it: words that touch other text, spaces and folding within a word, raw octets above 127. What
 * is no encoded word stays as it is (102). Linear; the output is UTF-8 without control characters.
 */
#pragma once

#include "base/buf.h"

/* Appends at most max octets (cut between characters); a fold becomes one space. -1 where out has
 * no room. */
int rfc2047_decode(struct str value, size_t max, struct buf *out);

enum rfc2047_place {
    RFC2047_TEXT,   /* Subject and the like */
    RFC2047_PHRASE, /* a display name: fewer characters stand for themselves (5 (3)) */
};

/* Appends UTF-8 text as it may stand in a header field. Where it has to be encoded, all from the
 * first to the last word that needs it becomes encoded words of at most 75 characters, joined by
 * CRLF and SP; column is where on its line the value starts. Octets that are not UTF-8 become
 * U+FFFD, CR and LF become spaces. */
int rfc2047_encode(struct str text, enum rfc2047_place place, size_t column, struct buf *out);

/* Appends UTF-8 with each control character replaced by a space. */
void rfc2047_put_printable(struct str utf8, struct buf *out);
