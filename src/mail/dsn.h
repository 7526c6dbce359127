/* mail/dsn.h: delivery status notifications: whether one is due, and the message itself.
 *
 * RFC 3461, 3464, 6522, 6533, RFC 5321 4.5.5 and 6.1. A notification is multipart/report of three
 * parts: words for people, fields for programs, and the original or its header. All that is told
 * may come from strangers: no octet of it can end a line, a field or a part; control characters
 * are written as \xHH; long text is cut. Lines end in CRLF and have at most 998 octets.
 *
 * The notification is ASCII unless the original was 8-bit, or UTF-8 is welcome to the recipient:
 * its address has it, or utf8 is set. Only then are the types of RFC 6533 used; else what needs
 * UTF-8 is encoded. Whom to send it with: MAIL FROM:<>, RCPT TO:<recipient>, NOTIFY=NEVER (RFC
 * 3461 6.1), and BODY and SMTPUTF8 as struct dsn_form says.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum dsn_kind { /* RFC 3464 2.3.3 */
    DSN_FAILED,
    DSN_DELAYED,
    DSN_DELIVERED,
    DSN_RELAYED,  /* to a server that will not report further */
    DSN_EXPANDED, /* to several recipients, about whom nothing further is reported */
};

enum dsn_notify { /* RFC 3461 4.1, a set, as wire's enum smtp_notify */
    DSN_NOTIFY_DEFAULT = 0,
    DSN_NOTIFY_NEVER = 1,
    DSN_NOTIFY_SUCCESS = 2,
    DSN_NOTIFY_FAILURE = 4,
    DSN_NOTIFY_DELAY = 8,
};

enum dsn_ret { /* RFC 3461 4.3, as wire's enum smtp_ret */
    DSN_RET_DEFAULT,
    DSN_RET_FULL,
    DSN_RET_HDRS,
};

/* What is left to us. */
struct dsn_rules {
    bool delay;   /* warn of a delay where NOTIFY was not given */
    bool success; /* obey a request for reports of success: a stranger's may be ignored */
};

/* Is a notification of this kind due for a recipient? Never to the null reverse-path. DSN_RELAYED
 * asks about a next hop without DSN: one that has it is told NOTIFY instead. */
bool dsn_wanted(
    uint8_t notify, enum dsn_kind kind, struct str reverse_path, const struct dsn_rules *rules);

/* RFC 3461 5.2.2: must a message go to a next hop without DSN with a null reverse-path, so that
 * nobody reports what this recipient's NOTIFY has forbidden? */
bool dsn_relay_silently(uint8_t notify);

/* What a status means to a person, without a line end: the table behind notifications and
 * `veredus queue show`. code is the reply's, 0 where the remote said nothing. Never empty. */
struct dsn_words {
    struct str why, advice;
};

struct dsn_words dsn_explain(struct err_status status, uint16_t code);

struct dsn_rcpt {
    enum dsn_kind kind;
    struct str address;       /* the final recipient */
    struct str orcpt;         /* "addr-type;xtext" as given, or empty */
    struct err_status status; /* class 0: the kind's X.0.0 */
    struct str remote_host;   /* whom we spoke to, or empty */
    struct str remote_ip;     /* as text, or empty */
    struct str reply;         /* its reply with codes, lines ended by LF; empty: it said nothing */
    struct str error;         /* our own account where there is no reply: "connection timed out" */
    struct str why, advice;   /* for people; empty: dsn_explain()'s */
    int64_t attempt_ms;       /* of the last attempt, 0: there was none */
    int64_t until_ms;         /* DSN_DELAYED: tried until then, 0: not known */
};

struct dsn {
    struct str host;      /* our name: Reporting-MTA, right side of Message-ID */
    struct str from_name; /* "Mail Delivery System" */
    struct str from;      /* the address in From: our postmaster's */
    struct str recipient; /* the original's reverse-path */
    struct str id;        /* of the new message, unique: letters, digits, "-" and "_" */
    int64_t now_ms, arrived_ms;
    struct str envid; /* xtext as given, or empty */

    const struct dsn_rcpt *rcpts;
    size_t rcpt_count; /* 1 … */

    /* The original. Its header is given in two slices (the prefix we added; what came in, with or
     * without the empty line), the body whole or not at all. */
    struct str prefix, header, body;
    uint64_t size; /* of the whole original */
    enum dsn_ret ret;
    size_t content_max; /* a longer body is not returned; 0: DSN_CONTENT_MAX */
    bool smtputf8;      /* the original came with SMTPUTF8 */
    bool utf8;          /* the way to the recipient is known to take SMTPUTF8 */
};

enum {
    DSN_CONTENT_MAX = 50 << 10,
    DSN_ID_MAX = 40,
    DSN_HEADER_MAX = 256 << 10, /* of prefix and header together: what lies beyond is left out */
};

/* What its transaction has to declare. */
struct dsn_form {
    bool eight_bit; /* BODY=8BITMIME */
    bool smtputf8;
    bool whole; /* the body of the original is in it */
};

/* No notification is longer than this: what to give to buf_init(). */
size_t dsn_size_max(const struct dsn *d);

/* Appends the notification. RFC 3461 4.3: the body is returned only where a recipient failed. -1
 * without memory (temporary, 4.3.0); out then holds a part of it. */
int dsn_build(const struct dsn *d, struct buf *out, struct dsn_form *form, struct err *e);
