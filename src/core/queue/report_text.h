/* core/queue/report_text.h: the octets of a notification, from a report and the stored original.
 */
#pragma once

#include "base/arena.h"

#include "mail/dsn.h"

#include "core/queue/report.h"

enum {
    REPORT_RCPTS_MAX = 1000, /* of one notification */
};

enum dsn_kind report_dsn_kind(enum report_kind kind);

/* Recipients of the report of whom a notification tells. */
struct report_selection {
    const struct report_rcpt *rcpt[REPORT_RCPTS_MAX];
    uint32_t count;
};

struct report_text {
    struct str id; /* of the new message, as text */
    struct str recipient;
    struct str from; /* our postmaster */
    const struct config *config;
    struct spool *spool;
};

/* Appends it to out. What cannot be read of the original is left out. Suspends. */
int report_text(struct arena *a, const struct report_text *t, const struct report *what,
    const struct report_selection *s, struct buf *out, struct dsn_form *form, struct err *e);
