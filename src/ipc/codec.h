/* ipc/codec.h: typed values in a frame's payload.
 *
 * Little-endian integers of fixed size; slices as u32 length and octets. A reader never trusts a
 * length before it has checked it, turns bad at the first error and then returns zeros and empty
 * slices, so a decoder checks once, with dec_done(), which also demands that nothing is left over.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

void enc_u8(struct buf *b, uint8_t v);
void enc_u16(struct buf *b, uint16_t v);
void enc_u32(struct buf *b, uint32_t v);
void enc_u64(struct buf *b, uint64_t v);
void enc_bool(struct buf *b, bool v);
void enc_str(struct buf *b, struct str s);
void enc_text(struct buf *b, struct str s, size_t max); /* longer than max turns the buf bad */
void enc_err(struct buf *b, const struct err *e); /* class, status, text; origin is not sent */

struct dec {
    struct str rest;
    bool bad;
};

static inline struct dec dec_of(struct str payload)
{
    return (struct dec){.rest = payload};
}

uint8_t dec_u8(struct dec *d);
uint16_t dec_u16(struct dec *d);
uint32_t dec_u32(struct dec *d);
uint64_t dec_u64(struct dec *d);
bool dec_bool(struct dec *d);                  /* anything but 0 and 1 is bad */
struct str dec_str(struct dec *d, size_t max); /* into the payload; longer than max is bad */
/* The same without control octets: it would end up in header fields, replies and logs. */
struct str dec_text(struct dec *d, size_t max);
uint8_t dec_enum(struct dec *d, uint8_t last); /* a value of an enum that ends with `last` */
void dec_err(struct dec *d, struct err *e);    /* origin becomes "peer" */
/* A count of elements that follow, each of at least `least` octets: more than max, or than the rest
 * can hold, is bad. */
uint32_t dec_count(struct dec *d, uint32_t max, size_t least);

int dec_done(
    struct dec *d, const char *what, struct err *e); /* ERR_BUG: a peer of ours is broken */
