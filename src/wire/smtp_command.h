/* wire/smtp_command.h: the grammar of SMTP commands (RFC 5321 4.1), for the server and the client.
 *
 * Pure functions over slices; nothing is copied, what comes out points into the line that went in.
 * A parse that fails says how to answer: reply code, enhanced status and text. Policy (is the
 * command allowed now, is a size acceptable, does the mailbox exist) is the session's.
 *
 * Standards: RFC 5321, 1870 SIZE, 6152 BODY, 3030 BDAT, 3461 RET ENVID NOTIFY ORCPT, 4954 AUTH=,
 * 6531 SMTPUTF8, 2033 LHLO. Lenient where the world is and nothing can be misread: white space
 * around arguments, and names that are none in EHLO.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include "mail/address.h"

enum smtp_verb {
    SMTP_VERB_UNKNOWN,
    SMTP_HELO,
    SMTP_EHLO,
    SMTP_LHLO,
    SMTP_MAIL,
    SMTP_RCPT,
    SMTP_DATA,
    SMTP_BDAT,
    SMTP_RSET,
    SMTP_NOOP,
    SMTP_VRFY,
    SMTP_EXPN,
    SMTP_HELP,
    SMTP_QUIT,
    SMTP_STARTTLS,
    SMTP_AUTH,
    SMTP_VERB_FOREIGN, /* known, but of an extension that we have not: ETRN, XCLIENT, TURN ... */
    SMTP_VERB_HTTP,    /* the first word of an HTTP request: the peer is no mail client */
    SMTP_VERBS
};

struct smtp_line {
    enum smtp_verb verb;
    struct str name; /* the verb as it was sent */
    struct str args; /* without white space around it */
};

/* How to answer what could not be parsed: 501, 553, 555 or 552, and why with its status. */
struct smtp_refusal {
    uint16_t code;
    struct err why;
};

enum smtp_body {
    SMTP_BODY_7BIT,
    SMTP_BODY_8BITMIME, /* RFC 6152 */
};

enum smtp_ret { /* RFC 3461 4.3 */
    SMTP_RET_DEFAULT,
    SMTP_RET_FULL,
    SMTP_RET_HDRS,
};

enum smtp_notify { /* RFC 3461 4.1, a set; NEVER stands alone */
    SMTP_NOTIFY_DEFAULT = 0,
    SMTP_NOTIFY_NEVER = 1,
    SMTP_NOTIFY_SUCCESS = 2,
    SMTP_NOTIFY_FAILURE = 4,
    SMTP_NOTIFY_DELAY = 8,
};

enum {
    SMTP_LINE_MIN = 512,  /* RFC 5321 4.5.3.1.4: what every server must take, with CRLF */
    SMTP_HELO_MAX = 255,  /* RFC 5321 4.5.3.1.2 */
    SMTP_ENVID_MAX = 100, /* RFC 3461 4.4, as xtext */
    SMTP_ORCPT_MAX = 500, /* RFC 3461 4.2, as xtext */
};

struct smtp_path {
    struct str address;     /* without angle brackets and source route; empty: the null path */
    struct mailbox mailbox; /* not of the null path nor of a bare "postmaster" */
    bool postmaster;        /* RFC 5321 4.5.1: "postmaster" without a domain */
};

struct smtp_mail {
    struct smtp_path from;
    uint64_t size; /* as declared */
    bool has_size;
    enum smtp_body body;
    bool smtputf8;
    enum smtp_ret ret;
    struct str envid; /* xtext as given, empty where there was none */
    struct str auth;  /* xtext as given: "<>" or a mailbox; empty where there was none */
};

struct smtp_rcpt {
    struct smtp_path to;
    uint8_t notify;   /* set of enum smtp_notify */
    struct str orcpt; /* "addr-type;xtext" as given, empty where there was none */
};

struct smtp_bdat {
    uint64_t size;
    bool last;
};

/* A line without its CRLF. Verbs are case-insensitive. Never fails. */
void smtp_line_parse(struct str line, struct smtp_line *l);

/* The name of a verb, for replies and logs. */
struct str smtp_verb_name(enum smtp_verb verb);

/* The argument of HELO, EHLO and LHLO (RFC 5321 4.1.1.1): a domain or an address literal. Names
 * with underscores and bare addresses are taken too (*strict turns false), since much of the world
 * sends them; white space, parentheses, controls and octets above 127 never get through. */
int smtp_helo_parse(struct str args, struct str *name, bool *strict, struct smtp_refusal *r);

/* What follows "MAIL" and "RCPT". smtputf8: the transaction was begun with SMTPUTF8. */
int smtp_mail_parse(struct str args, struct smtp_mail *m, struct smtp_refusal *r);
int smtp_rcpt_parse(struct str args, bool smtputf8, struct smtp_rcpt *m, struct smtp_refusal *r);

/* RFC 3030 2: chunk-size [SP "LAST"]. After a failure it is not known what of the stream is a
 * command: the session must end. */
int smtp_bdat_parse(struct str args, struct smtp_bdat *b, struct smtp_refusal *r);

/* Commands whose argument is none, or one string that is not looked into. */
int smtp_no_args(struct str args, struct smtp_refusal *r);
int smtp_string_arg(struct str args, struct smtp_refusal *r);

/* The other side: "MAIL FROM:<...> ..." and "RCPT TO:<...> ..." without CRLF. Only parameters that
 * are set are written; which of them the server offers is the caller's to know. */
void smtp_mail_print(const struct smtp_mail *m, struct buf *out);
void smtp_rcpt_print(const struct smtp_rcpt *m, struct buf *out);
