/* core/queue/filter.h: which messages an operator means, for the files of this folder. */
#pragma once

#include "core/queue/queue_int.h"

enum {
    FILTER_PORTION = 1000, /* messages looked at before others have a turn */
};

enum queue_state queue_state_of(const struct queue *q, const struct sched_message *m);
bool queue_waits_for_site(const struct queue *q, const struct sched_delivery *d);

bool filter_needs_envelope(const struct queue_filter *f);
/* All but the envelope. f may be NULL. */
bool filter_fits(
    const struct queue *q, const struct sched_message *m, const struct queue_filter *f);
/* The envelope. Suspends. -1: it could not be read now. */
int filter_fits_envelope(
    struct queue *q, uint64_t id, const struct queue_filter *f, bool *fits, struct err *e);

struct filter_walk {
    const struct queue_filter *filter;
    uint64_t at; /* the number, or the place among the ids, reached */
};

/* The next message that fits: 1, and *id; 0: none is left. Suspends. */
int filter_next(struct queue *q, struct filter_walk *w, uint64_t *id, struct err *e);
