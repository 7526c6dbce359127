/* mail/dsn_int.h: shared by the files that write notifications. */
#pragma once

#include "mail/dsn.h"

enum {                      /* octets of what others said that are repeated */
    DSN_ADDRESS_CUT = 640,  /* 256 and what escaping makes of the odd ones */
    DSN_HOST_CUT = 320,     /* RFC 5321 4.5.3.1.2 has 255 */
    DSN_REPLY_CUT = 1500,   /* three lines of RFC 5321 4.5.3.1.5 */
    DSN_WORDS_CUT = 640,    /* explanations */
    DSN_RCPT_MAX = 8 << 10, /* what one recipient makes of a part, at most */
};

/* One line of printable characters, cut to what fits dst[size]: anything else is written as \xHH,
 * as is what is not ASCII unless utf8. */
struct str dsn_clean(char *dst, size_t size, struct str s, bool utf8);

/* "Name: value" folded (RFC 5322 2.2.3); value is clean. */
void dsn_put_field(struct buf *out, struct str name, struct str value);

/* A paragraph of clean text behind an indent, wrapped, with its line end. */
void dsn_put_wrapped(struct buf *out, struct str indent, struct str text);

/* The parts, without the line end before the delimiter that follows. */
void dsn_put_people(const struct dsn *d, bool whole, struct buf *out);
void dsn_put_status(const struct dsn *d, bool utf8, struct buf *out);

/* The status to tell: the recipient's, or its kind's. */
struct err_status dsn_status(const struct dsn_rcpt *r);

/* The code of its reply, 0 where there is none. */
uint16_t dsn_reply_code(const struct dsn_rcpt *r);

/* Is the body of the original to be in it? */
bool dsn_returns_body(const struct dsn *d);

/* The octets to quote: header, and body where `whole`, in lines of CRLF that are not too long. */
void dsn_put_original(const struct dsn *d, bool whole, struct buf *out);
