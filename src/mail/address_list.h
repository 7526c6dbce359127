/* mail/address_list.h: the addresses of a header field: From, To, Reply-To and the like.
 *
 * RFC 5322 3.4 and 4.4 as a tolerant reader: it takes one pass, allocates nothing, and never fails
 * on broken mail. What it gives are slices of the field as written; the address_put functions turn
 * them into what they mean. Encoded words stay encoded, since what is in them is never syntax
 * (RFC 2047 5, hostile.md 89). An obsolete route is kept apart: the domain is the one behind its
 * colon (hostile.md 90). What is not as RFC 5322 wants it is marked bad; a caller who has to know
 * who somebody is (DMARC: hostile.md 86, 87) takes no bad address for an answer.
 */
#pragma once

#include "base/buf.h"

enum address_kind {
    ADDRESS_MAILBOX,
    ADDRESS_GROUP_START, /* name is that of the group */
    ADDRESS_GROUP_END,   /* also at the end of the field, where the semicolon is missing */
};

struct address {
    enum address_kind kind;
    struct str name;   /* display-name, or the text of a comment where there is none */
    bool name_comment; /* it is a comment's */
    struct str route;  /* "@a,@b" */
    struct str local, domain;
    bool has_domain; /* there was an "@" */
    bool bad;
};

struct address_list {
    struct str rest;
    bool in_group;
};

static inline struct address_list address_list(struct str field)
{
    return (struct address_list){.rest = field};
}

/* The next mailbox, start or end of a group. False at the end. */
bool address_next(struct address_list *l, struct address *a);

/* Append the meaning: without quotes, comments, folding; words joined by one space. */
void address_put_name(const struct address *a, struct buf *out);
void address_put_local(const struct address *a, struct buf *out);
void address_put_domain(const struct address *a, struct buf *out);
void address_put_route(const struct address *a, struct buf *out);
