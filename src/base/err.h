/* base/err.h: the one error object.
 *
 * Handed in by the caller, filled by who knows best, returned beside -1. It says what an MTA has to
 * know: may it work later (class), the enhanced status code (RFC 3463), who said it (origin), and a
 * text for people. Whether a reply is 4xx or 5xx is decided where the error is made, not at the
 * top. Text may hold octets of a peer; whoever shows it escapes it.
 */
#pragma once

#include <stdarg.h>

#include "base/str.h"

enum err_class {
    ERR_NONE,
    ERR_TEMPORARY, /* the same thing may work later */
    ERR_PERMANENT, /* it will not */
    ERR_CANCELLED, /* the fiber was told to end */
    ERR_DEADLINE,  /* time ran out */
    ERR_CLOSED,    /* the peer ended the connection or the channel */
    ERR_BUG,       /* one of our invariants does not hold */
};

/* RFC 3463: class.subject.detail, e.g. {5, 1, 1}; {0, 0, 0} where there is none. */
struct err_status {
    uint8_t class;
    uint16_t subject, detail;
};

struct err {
    enum err_class class;
    struct err_status status;
    int os;             /* errno of a failed system call, else 0 */
    const char *origin; /* a literal: the module that made it */
    char text[232];     /* terminated, cut where it was longer */
};

/* Fill *e (which may be NULL) and return -1. */
int err_set(struct err *e, enum err_class class, const char *origin, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
int err_set_status(struct err *e, enum err_class class, struct err_status status,
    const char *origin, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A failed system call: the text is "what: strerror". ENOMEM, ENOSPC, EMFILE and the like are
 * temporary, as is everything else that an administrator can mend: the class is ERR_TEMPORARY. */
int err_os(struct err *e, int error, const char *origin, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* No memory: ERR_TEMPORARY, 4.3.0. */
int err_memory(struct err *e, const char *origin);

/* Puts "prefix: " before the text (a file, a line, a host). Returns -1. */
int err_prefix(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *e);
