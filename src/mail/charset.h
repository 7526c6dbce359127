/* mail/charset.h: text of any charset becomes UTF-8. By ICU, whose tables are in the library.
 *
 * Never fails on text: what cannot be converted becomes U+FFFD, one for each run of bad octets. A
 * charset that nobody knows, and US-ASCII with octets above 127, are UTF-8 if that is what the
 * octets are, else windows-1252; ISO-8859-1 is taken for windows-1252, and a few Asian names for
 * the larger sets that mailers mean by them, as browsers do (encoding.spec.whatwg.org). Output is
 * valid UTF-8, bounded, and never cut within a character.
 */
#pragma once

#include "base/buf.h"

/* Opens every charset that mail has once, so that nothing is left to look for behind a wall that
 * forbids opening files. False if ICU does not work at all. */
bool charset_prepare(void);

/* Appends at most max octets of UTF-8. -1 only where out has no room or there is no memory. */
int charset_to_utf8(struct str charset, struct str text, size_t max, struct buf *out);

/* Is the name one that can be converted? */
bool charset_known(struct str charset);
