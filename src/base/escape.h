/* base/escape.h: octets of a peer made safe to show: in a log, a reply, a terminal, JSON (G7).
 *
 * What comes out is one line of valid UTF-8 without control characters, nor those that reorder text
 * or break lines (C1, U+2028, U+2029, the bidirectional controls). Nothing is lost except in JSON,
 * where an octet that is not UTF-8 becomes U+FFFD.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum escape_form {
    ESCAPE_TEXT,     /* \n \r \t \\ \" \xHH; other UTF-8 as it is */
    ESCAPE_TERMINAL, /* the same, but quotes and backslashes stay: for people, not to be read back
                      */
    ESCAPE_ASCII,    /* the same, and every octet above 126 as \xHH: for replies without SMTPUTF8 */
    ESCAPE_JSON,     /* inside the quotes of a JSON string (RFC 8259 7) */
};

/* Would anything of s be changed? */
bool escape_needed(struct str s, enum escape_form form);

int escape_put(struct buf *out, struct str s, enum escape_form form);

/* Writes what fits whole into dst[size] and a terminator; returns the slice. */
struct str escape_copy(char *dst, size_t size, struct str s, enum escape_form form);
