/* mail/rfc2231.h: the decoded value of a parameter: continuations, charsets, percent signs.
 *
 * One function gives the one value that policy, IMAP and people see (hostile.md 100). name* beats
 * name*0, which beats name. Sections count from 0 without leading zeros; the first one that is
 * missing ends the value, and no number is ever an index (99). A plain value that holds encoded
 * words, which RFC 2047 5 forbids and mailers write, is decoded too.
 */
#pragma once

#include "base/buf.h"

#include "mail/content_type.h"

enum {
    RFC2231_VALUE_MAX = 4096 /* octets of UTF-8; the rest is cut */
};

/* Appends the value as UTF-8 without control characters. False where there is no such parameter. */
bool rfc2231_decode(const struct mime_value *v, struct str name, struct buf *out);

/* The name of a file: "filename" of the disposition, else "name" of the type, without white space
 * around it. NULL values are none. False where there is no name. */
bool rfc2231_file_name(
    const struct mime_value *disposition, const struct mime_value *type, struct buf *out);
