/* cmd/sendmail_message.h: a message from standard input made ready for submission.
 *
 * Line ends become CRLF, a lone dot ends it unless it is told not to, an mbox "From " line in front
 * is dropped. From, Date and Message-ID are added where they are missing (RFC 6409 8), Bcc is
 * removed; with -t the recipients are taken from To, Cc and Bcc. Nothing here suspends or reads
 * anything by itself.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct sendmail_message {
    struct str from;     /* for a missing From: "Name <address>" */
    struct str hostname; /* for Message-ID */
    int64_t now_ms;
    bool ignore_dots, from_headers;

    struct arena *arena; /* results */
    struct buf *content; /* the result, CRLF line ends */
    struct str *rcpt;    /* what was found with from_headers, and by sendmail_recipients() */
    uint32_t rcpts;
};

enum {
    SENDMAIL_RCPTS_MAX = 10000
};

int sendmail_prepare(struct sendmail_message *m, struct str text, struct err *e);

/* Afterwards: the recipients of an argument that is written as in a header field, "A <a@b>, c@d".
 */
int sendmail_recipients(struct sendmail_message *m, struct str list, struct err *e);
