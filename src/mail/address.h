/* mail/address.h: mailboxes as SMTP knows them: grammar, meaning, comparison, printing.
 *
 * RFC 5321 4.1.2 and 4.1.3 with the UTF-8 forms of RFC 6531 3.3, strictly: no comments, no folding
 * white space, no empty labels, no dot at the end of a domain. Nothing is rewritten: a percent
 * sign, an exclamation mark or an "@" within quotes is part of a local part (hostile.md 31, 32).
 * What a message's header fields hold is another grammar: mail/address_list.h.
 *
 * Errors are permanent with status 5.1.3, or 5.6.7 where octets above 127 are not well-formed UTF-8
 * or no valid international domain. Whether UTF-8 is welcome at all (SMTPUTF8) is the session's
 * question: it looks at mailbox.utf8.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum { /* RFC 5321 4.5.3.1.1 to 4.5.3.1.3; a path's 256 octets include its angle brackets */
    ADDRESS_LOCAL_MAX = 64,
    ADDRESS_DOMAIN_MAX = 255,
    ADDRESS_LABEL_MAX = 63,
    ADDRESS_PATH_MAX = 256,
    ADDRESS_MAX = ADDRESS_PATH_MAX - 2,
    ADDRESS_KEY_MAX = 1024, /* no key is longer: NFC at most triples a local part */
};

enum domain_kind {
    DOMAIN_NAME,
    DOMAIN_IPV4, /* [192.0.2.1] */
    DOMAIN_IPV6, /* [IPv6:2001:db8::1] */
};

/* Slices of what was parsed, as written there: quotes and brackets are included. */
struct mailbox {
    struct str local, domain;
    enum domain_kind kind;
    bool quoted; /* the local part is a quoted-string */
    bool utf8;   /* there are octets above 127 */
};

/* A Mailbox at the start of *rest, which becomes what follows it. */
int mailbox_scan(struct str *rest, struct mailbox *m, struct err *e);

/* The whole of text is a Mailbox. */
int mailbox_parse(struct str text, struct mailbox *m, struct err *e);

/* A Domain or address-literal: at the start of *rest, or the whole of text. */
int domain_scan(struct str *rest, struct str *domain, enum domain_kind *kind, struct err *e);
int domain_parse(struct str text, enum domain_kind *kind, struct err *e);

/* The address of a literal, v4-mapped for IPv4. False for a name or what is no literal. */
bool domain_address(struct str domain, uint8_t address[16]);

/* Appends the form in which domains compare: A-labels in lower case (UTS 46 without transitional
 * mappings, then IDNA 2008), literals in one spelling (RFC 5952). domain must be one that
 * domain_parse() takes. */
int domain_canonical(struct str domain, struct buf *out, struct err *e);

/* What the local part means: "a b" without quotes and backslashes; slice into storage. */
struct str mailbox_local(const struct mailbox *m, char storage[ADDRESS_LOCAL_MAX]);

/* Appends the local part in the form in which ours compare: ASCII folded, and NFC, simple case
 * folding, NFC where it has UTF-8. local is what mailbox_local() gives. */
int local_canonical(struct str local, struct buf *out, struct err *e);

/* Appends the directory's key: canonical local part, "@", canonical domain. The local part may hold
 * any octet, the domain holds no "@": the last one separates. */
int mailbox_key(const struct mailbox *m, struct buf *out, struct err *e);

/* Appends local@domain, the local part quoted if it is no dot-string. local is what
 * mailbox_local() gives; one with control octets cannot be written: -1, as when out is full. */
int mailbox_print(struct str local, struct str domain, struct buf *out);
