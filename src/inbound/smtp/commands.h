/* inbound/smtp/commands.h: the commands, and when they are in order.
 *
 * The table in dispatch.c gives each verb its handler and flags; the dispatcher checks all that the
 * flags say, so a handler holds the verb's effect alone.
 */
#pragma once

#include "inbound/smtp/session.h"

enum command_flag {
    NEEDS_HELLO = 1,
    NEEDS_MAIL = 2,
    NEEDS_RCPT = 4,
    NO_MAIL = 8,      /* not within a transaction */
    NO_CHUNKS = 16,   /* not after a BDAT */
    NO_ARGS = 32,     /* takes no argument */
    JUNK = 64,        /* brings no mail nearer; counted */
    ENDS_GROUP = 128, /* RFC 2920 3.1: nothing may be sent behind it before its reply */
    ONLY_SMTP = 256,
    ONLY_LMTP = 512, /* RFC 2033 4.1 */
};

void smtp_dispatch(struct session *s, struct str line);

/* Is a command with these flags in order now? If not, says so. */
bool smtp_in_order(struct session *s, unsigned flags);

typedef void smtp_command_fn(struct session *s, struct str args);

smtp_command_fn smtp_helo, smtp_ehlo, smtp_mail, smtp_rcpt, smtp_data, smtp_bdat;
smtp_command_fn smtp_rset, smtp_noop, smtp_vrfy, smtp_expn, smtp_help, smtp_quit;
