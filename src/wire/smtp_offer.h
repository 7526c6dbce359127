/* wire/smtp_offer.h: what a server says that it can do, in its answer to EHLO or LHLO.
 *
 * Pure functions over slices. An extension is taken only where its keyword stands alone or before a
 * space, in any case of letters (RFC 5321 4.1.1.1), and a value that breaks its grammar counts as
 * not said: nothing wraps around (hostile.md 77).
 *
 * Standards: RFC 5321, 1870 SIZE, 2920 PIPELINING, 3030 CHUNKING, 3207 STARTTLS, 3461 DSN, 6152
 * 8BITMIME, 6531 SMTPUTF8, 6533 (ORCPT of type utf-8), 2034 ENHANCEDSTATUSCODES, 9422 LIMITS.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/* All zeros: a server that knows only HELO. */
struct smtp_offer {
    bool pipelining, chunking, eight_bit, smtputf8, dsn, enhanced_codes, starttls, size;
    uint64_t size_max;                            /* octets of a message; 0: it did not say */
    uint32_t mail_max, rcpt_max, rcpt_domain_max; /* RFC 9422 4; 0: it did not say */
};

/* A line of the answer, but the first, behind its code. */
void smtp_offer_line(struct smtp_offer *o, struct str text);

/* The names of what is offered, for logs: "PIPELINING SIZE". */
void smtp_offer_print(const struct smtp_offer *o, struct buf *out);

/* Appends an ORCPT value as a server without SMTPUTF8 may have it: characters above 127 as
 * \x{HEX} (RFC 6533 3, utf-8-addr-xtext). -1 where out has no room. */
int smtp_orcpt_ascii(struct str orcpt, struct buf *out);
