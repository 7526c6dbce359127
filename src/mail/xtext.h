/* mail/xtext.h: xtext (RFC 3461 4), by which parameters carry octets that they may not hold.
 *
 * Printable ASCII without "+" and "=" stands for itself, anything else is "+" and two upper-case
 * hexadecimal digits. Decoding is strict.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* Is all of s xtext? */
bool xtext_valid(struct str s);

/* Appends the octets that s stands for; -1 (and out as it was) where it is no xtext or out is full.
 */
int xtext_decode(struct str s, struct buf *out);

int xtext_encode(struct str s, struct buf *out);

/* xtext whose octets are all printable ASCII, as ENVID and ORCPT demand (RFC 3461 4.2, 4.4). */
bool xtext_printable(struct str s);

/* The same, but octets above 127 may stand in it: others encode addresses of RFC 6531 so. */
bool xtext_no_control(struct str s);
