/* core/crash/images.h: which images a power cut can leave of one moment (DURABILITY.md section 3).
 *
 * Of what is pending: up to twelve changes every subset; of more none, all, every prefix, each
 * alone, all but one and samples by seed. Each with and without a torn last sector. Where they are
 * few, the last sector of every prefix is cut at every eighth octet (frames begin there).
 */
#pragma once

#include "io/fake_choose.h"

enum {
    SUBSETS_UP_TO = 12,
    SAMPLES = 200,
    FEW_SAMPLES = 20, /* where not thorough */
    STEPS = 64,       /* prefixes, single changes, single gaps: of more changes not all, by seed */
};

struct image {
    struct fake_disk *moment;
    const struct fake_changes *changes;
    const struct fake_choice *choice;
};

/* fn(arg, image) for each; false ends it. */
typedef bool image_fn(void *arg, const struct image *i);

void images_each(struct fake_disk *moment, uint64_t seed, bool thorough, image_fn *fn, void *arg);

/* What survives, for people. */
void image_describe(const struct image *i, char *out, size_t n);
