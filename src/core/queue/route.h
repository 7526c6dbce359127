/* core/queue/route.h: where a recipient's mail goes, by the route sections of the configuration.
 *
 * Most specific first: recipient routes USER@DOMAIN, DOMAIN, *.DOMAIN (any depth below DOMAIN, the
 * longest wins); then sender routes in the same order, "from *" last; then the recipient route "*";
 * then the address itself: the host of an address literal (RFC 5321 4.1.3), else the mail
 * exchangers of its domain. So a smarthost chosen by sender never takes what has a way of its own,
 * and outranks the smarthost for everybody. The null reverse-path matches "from *" alone.
 *
 * A route is a destination, not a right: who may send where is decided at RCPT and at the commit.
 * Immutable; a reload makes another one. Looking up costs a few hash look-ups however many routes
 * there are. Never suspends.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include "ipc/config.h"

enum route_kind {
    ROUTE_MX,        /* the mail exchangers of name */
    ROUTE_HOST,      /* exactly name */
    ROUTE_LMTP,      /* exactly name, by LMTP */
    ROUTE_LMTP_UNIX, /* name is a path */
    ROUTE_NULL,      /* accepted, discarded, traced */
    ROUTE_HOLD,      /* kept until the operator says otherwise */
};

struct route {
    enum route_kind kind;
    bool numeric;               /* name is an IP address, without brackets */
    uint16_t port;              /* 0 where there is none */
    struct str title;           /* of the section; empty: the address itself says where */
    struct str name;            /* lower case, A-labels */
    uint32_t connections, rate; /* at a time; messages a minute; 0: no limit of this route */
    struct str helo_name;       /* empty: hostname */
    struct str from_address;    /* instead of the reverse-path (not of a null one); or empty */
    /* Names the destination, for people too: "example.org", "[192.0.2.1]:2525",
     * "lmtp:unix:/run/lmtp". Recipients with the same key can share connections and limits. */
    struct str key;
};

struct routes;

/* The strings are copied: config may go. Of routes with equal patterns the first counts. */
int routes_make(const struct config *config, struct routes **routes, struct err *e);
void routes_free(struct routes **routes);

/* What *route points to lies in the arena or lives as long as the routes. reverse_path empty: the
 * null one. -1: the recipient is no address (permanent), or no memory. */
int routes_find(const struct routes *r, struct arena *a, struct str reverse_path,
    struct str recipient, struct route *route, struct err *e);
