/* cmd/sendmail_args.h: the command line of sendmail(8), as programs use it.
 *
 * Options may be clustered (-oi, -ti) and may carry their value attached or apart. Those that only
 * make sense to Sendmail itself are taken and ignored; an unknown one is an error. Nothing that
 * comes after "--", and no address, is ever an option or a command.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

enum sendmail_mode {
    SENDMAIL_SUBMIT,  /* -bm: a message from standard input */
    SENDMAIL_SMTP,    /* -bs: SMTP on standard input and output */
    SENDMAIL_QUEUE,   /* -bp, mailq */
    SENDMAIL_NOTHING, /* -bi (newaliases), -q: nothing to do here */
    SENDMAIL_HELP,    /* --help */
};

struct sendmail_args {
    enum sendmail_mode mode;
    const char *config_path; /* -C FILE and our own -c FILE; NULL for the default */
    const char *from;      /* -f, -r; NULL where not given; "" and "<>" are the null reverse-path */
    const char *full_name; /* -F */
    const char *notify;    /* -N, as RFC 3461 writes it */
    const char *ret;       /* -R full|hdrs */
    const char *envid;     /* -V */
    bool from_headers;     /* -t */
    bool ignore_dots;      /* -i, -oi: a line with a dot alone does not end the message */
    bool smtputf8;
    const char **rcpt; /* into argv */
    unsigned rcpts;
};

/* rcpt has room for argc pointers. ERR_PERMANENT for a wrong usage. */
int sendmail_parse(
    struct sendmail_args *a, const char **rcpt, int argc, char **argv, struct err *e);
