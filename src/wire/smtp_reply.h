/* wire/smtp_reply.h: SMTP replies (RFC 5321 4.2) with enhanced status codes (RFC 2034, RFC 3463).
 *
 * The server's side writes one line at a time into memory of the caller: text is escaped to ASCII
 * and cut, so no line is longer than RFC 5321 4.5.3.1.5 allows whatever octets of a peer the text
 * repeats. The client's side takes the lines of a remote server that may be hostile: what breaks
 * the grammar or the limits is an error (temporary, 5.5.2 of RFC 3463: the session is lost), what
 * it says in its text is kept as it came and is escaped by whoever shows it.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum {
    SMTP_REPLY_LINE_MAX = 512,       /* RFC 5321 4.5.3.1.5, with CRLF: what we write */
    SMTP_REPLY_READ_LINE_MAX = 4096, /* what we read */
    SMTP_REPLY_READ_LINES_MAX = 100,
    SMTP_REPLY_READ_MAX = 65536, /* octets of one whole reply */
};

/* One line of a reply with its CRLF, in out. last: no more lines of this reply follow. A status of
 * class 0 is not written (RFC 2034 4: none in 220 and 3xx, nor for EHLO). */
struct str smtp_reply_line(char out[SMTP_REPLY_LINE_MAX], uint16_t code, struct err_status status,
    bool last, struct str text);

/* Does the text begin with a status code of this class ("5.1.1 no such user")? Takes it off, with
 * the white space behind it. RFC 3463 2. */
bool smtp_status_take(struct str *text, uint8_t class, struct err_status *status);

/* Ceilings of a reply that is read; 0: those above. */
struct smtp_reply_limits {
    size_t line, octets; /* with CRLF */
    unsigned lines;
};

/* A reply that is being read. */
struct smtp_reply {
    uint16_t code;
    struct err_status status; /* of the first line that had one; class 0 if none had */
    unsigned lines;
    size_t octets;
    struct smtp_reply_limits limits; /* set before the first line */
};

/* The next line, without its CRLF. 1: more lines follow, 0: that was the last, -1: *e. text is what
 * follows the codes, a slice of line. */
int smtp_reply_feed(struct smtp_reply *r, struct str line, struct str *text, struct err *e);
