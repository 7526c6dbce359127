/* cmd/say.h: the small SMTP client of `veredus send` and `veredus demo`.
 *
 * It talks to our own server, one command at a time. With `show` the conversation is printed as it
 * happens, long content shortened. All calls suspend.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include "io/net.h"
#include "io/stream.h"

struct say {
    struct stream *stream;
    bool show;
    unsigned code;    /* of the last reply */
    struct buf reply; /* its text, lines separated by LF, without codes */
};

int say_open(struct say *s, const struct net_address *to, bool show, struct err *e);
void say_close(struct say *s);

/* Reads a reply into code and reply. */
int say_reply(struct say *s, struct err *e);

/* Sends a line and reads the reply; one of another class than `class` (2, 3) is an error with its
 * text: ERR_TEMPORARY for 4xx, ERR_PERMANENT for 5xx. */
int say_command(struct say *s, unsigned class, struct err *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* After 354: content with CRLF line ends, dots stuffed, the end of data, and its reply. */
int say_content(struct say *s, struct str content, struct err *e);
