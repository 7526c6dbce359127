/* outbound/smtp/source.h: the octets of a delivery's message, from front to end, as often as
 * wanted.
 *
 * Prefix, what came with the delivery, then pieces that core is asked for; while one piece is sent
 * the next is already on its way. Holds two pieces at most. Suspends: source_next, source_done.
 */
#pragma once

#include "outbound/smtp/courier.h"

struct source {
    struct courier *courier;
    unsigned part;    /* prefix, inline content, pieces */
    uint64_t at;      /* octets of content given */
    struct buf piece; /* the one that was given last */
    struct buf ahead; /* the next one */
    bool reading, have_ahead;
    struct err ahead_error; /* class ERR_NONE: ahead is good */
    struct scope scope;
    struct cond changed;
};

void source_init(struct source *s, struct courier *c);
void source_done(struct source *s);

/* From the front again. Suspends. */
void source_rewind(struct source *s);

/* 1 and the next piece, which stays until the next call; 0 at the end; -1: it cannot be read. */
int source_next(struct source *s, struct str *piece, struct err *e);

uint64_t source_size(const struct source *s);
/* Is all of it here? */
bool source_here(const struct source *s);
