/* outbound/outcomes.h: outcomes that core has not confirmed.
 *
 * An outcome is kept, encoded, from the moment it is known until core says that it is in its log.
 * `told` is the life of core (its generation, from 1) that was last told. Bounded by
 * CO_OUTCOMES_MAX and by octets: when outcomes_full(), nothing more may be begun.
 */
#pragma once

#include "base/list.h"
#include "base/table.h"

#include "ipc/core_outbound.h"

struct kept_outcome {
    struct list link;
    char key[10]; /* id, attempt */
    uint32_t told;
    struct str octets; /* as co_outcome_encode() made them */
};

struct outcomes {
    struct list all; /* the oldest first */
    struct table table;
    size_t octets;
};

void outcomes_init(struct outcomes *o);
void outcomes_done(struct outcomes *o);

/* One with the same key is replaced. -1 without memory. */
int outcomes_keep(struct outcomes *o, const struct co_outcome *outcome, uint32_t told);
void outcomes_confirm(struct outcomes *o, const struct co_flying *key);

bool outcomes_full(const struct outcomes *o);
size_t outcomes_count(const struct outcomes *o);

/* The first that this life of core was not told; NULL: there is none. */
struct kept_outcome *outcomes_untold(const struct outcomes *o, uint32_t generation);
