/* core/crash/lives.h: what becomes of one image: recovery, comparison, work, recovery again.
 */
#pragma once

#include "core/crash/known.h"

/* One operation of fake_life.h that was promised if it returned 0; 'p' lets go of what it
 * emptied. 0 where the model has no room for more messages. */
int work_do(struct life *l, struct known *k, char operation);

/* The image is used up by it, and k is what was found. False with why. *recovered: a number for
 * what the first recovery made of it. */
bool lives_run(struct fake_disk *image, struct known *k, uint64_t *recovered, char why[WHY_MAX]);

/* Recovers the image, works a bit, and damages a place that was confirmed; k knows. misplaced: by a
 * sector that belongs elsewhere. False where there was nothing to damage. */
bool lives_damage(struct fake_disk *image, struct known *k, bool misplaced, uint64_t seed);
