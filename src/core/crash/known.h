/* core/crash/known.h: what a spool must keep over all its lives, and whether it did.
 *
 * Beside the model of fake_life.h: what must only grow (epoch, sequences, numbers of segments), and
 * which messages lie where an image was damaged on purpose. Everything is plain octets, so that it
 * can be stored with an image and tried again.
 */
#pragma once

#include "core/spool/fake_life.h"

struct known {
    struct model model;
    uint64_t epoch;    /* of the last life that began */
    uint64_t sequence; /* of the next frame, when something was promised last */
    uint64_t number;   /* the largest of a segment that had records promised */
    uint64_t damaged;  /* messages (bits) that lie where the image was damaged */
    uint32_t damage;   /* it was damaged on purpose */
    uint32_t tail;     /* which operations follow its recovery */
};

enum {
    WHY_MAX = 300,
};

/* A life that has begun may make message ids of its epoch. */
void known_began(struct known *k, const struct life *l);
/* What was promised up to now; after each operation that has returned 0. */
void known_promised(struct known *k, const struct life *l);
/* An operation failed without a loss of power, and its committers were told so. */
void known_refused(struct known *k);

/* What recovery made of an image is what was known; then it is what is known. False with why. */
bool known_check(struct known *k, struct life *l, char why[WHY_MAX]);

/* The messages whose records or content touch octets [from, to) of a segment's file, as bits. */
uint64_t known_within(const struct life *l, const struct segment *s, uint64_t from, uint64_t to);

/* A number for what is known. */
uint64_t known_hash(const struct known *k);
/* A number for what recovery made of an image: equal where it will do the same from now on. */
uint64_t life_hash(const struct life *l);
